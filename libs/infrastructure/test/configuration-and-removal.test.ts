import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { planCluster } from '@hotswap/domain';
import { TestPostgres } from './postgres.js';
import { completeDeploy, moduleName, releaseOf, startDeploy, World } from './world.js';

let postgres: TestPostgres;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  await world.publish('1.0.0');
  await world.publish('1.1.0');
});

describe('a configuration', () => {
  const replace = (values: object, revision: number) =>
    world.catalog.replaceConfiguration(moduleName, 'Development', { ...values }, revision);

  it('is replaced by one of many who have read the same', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, writer) => replace({ writer }, 0)));
    const [written, ...more] = outcomes.filter((outcome) => outcome !== null);
    expect([written?.revision, more]).toEqual([1, []]);
    expect(await world.catalog.configuration(moduleName, 'Development')).toEqual(written);
    expect(await world.catalog.configuration(moduleName, 'QA')).toEqual({ revision: 0, values: {} });
  });

  it('makes another release of the same version, and keeps the one that it was', async () => {
    await world.succeedInDevelopment('1.0.0');
    await replace({ currency: 'EUR', fee: 0.1 }, 0);
    const id = await world.deploy('1.0.0', 'Development');
    await world.step(id, ({ stages }) => ({
      kind: 'complete-stage',
      status: 'Running',
      stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }],
    }));
    const { environment } = await world.view(id);
    expect(environment!.record.release).toEqual(releaseOf('1.0.0'));
    expect(environment!.target).toEqual({
      ...releaseOf('1.0.0'),
      digest: expect.not.stringMatching(releaseOf('1.0.0').digest),
      configurationRevision: 1,
      configuration: { currency: 'EUR', fee: 0.1 },
    });
    // What a rollout has set out to bring stays, whatever is configured meanwhile.
    const { target } = environment!;
    await world.step(id, (view) => startDeploy(view));
    expect((await replace({ currency: 'USD' }, 1))?.revision).toBe(2);
    expect((await world.view(id)).environment!.target).toEqual(target);
  });
});

describe('withdrawing a version', () => {
  it('has unfinished deployments of it looked at, and keeps the first reason', async () => {
    const id = await world.deploy('1.0.0', 'Development');
    const other = await world.deploy('1.1.0', 'QA', { onConflict: 'supersede' });
    await world.rows(`UPDATE hotswap.deployment SET next_look_at = now() + interval '1 hour'`);
    const withdrawn = await world.catalog.withdraw(moduleName, '1.0.0', 'Rounds amounts');
    expect(withdrawn).toMatchObject({ withdrawnAt: expect.any(Date), withdrawalReason: 'Rounds amounts' });
    const due = await world.rows<{ id: string }>('SELECT id FROM hotswap.deployment WHERE next_look_at <= now()');
    expect(due.map((row) => row.id)).toEqual([id]);
    expect(due.map((row) => row.id)).not.toContain(other);
    expect(await world.catalog.withdraw(moduleName, '1.0.0', 'Else')).toEqual(withdrawn);
    expect(await world.catalog.withdraw(moduleName, '9.0.0', 'Else')).toBeNull();
    expect(await world.publish('1.0.0')).toMatchObject({
      outcome: 'same',
      published: { withdrawalReason: 'Rounds amounts' },
    });
  });
});

describe('taking a module off', () => {
  const remove = () => world.clusters.removeModule('Development', moduleName);
  const plans = async () => planCluster(await world.clusters.load('Development'));

  it('has the cluster pass make every node absent, once', async () => {
    for (const node of ['a', 'b']) await world.join(node, 'Development');
    await world.succeedInDevelopment('1.0.0');
    const id = await world.succeedInDevelopment('1.1.0');
    expect(await remove()).toEqual({ kind: 'removed' });
    expect(await remove()).toEqual({ kind: 'not-there' });
    const wanted = await plans();
    const absent = { active: null, candidate: null, candidatePercent: 0, warm: [], fallback: null };
    expect(wanted).toEqual(['a', 'b'].map((nodeId) => ({ nodeId, module: moduleName, plan: absent })));
    expect(await world.clusters.assign(await world.clusters.load('Development'), wanted)).toBe(2);
    expect(await plans()).toEqual([]);
    expect((await world.nodes.document('a'))!.modules).toMatchObject([{ module: moduleName, active: null }]);
    // Nobody's to take back any more, and a node that joins later gets nothing.
    const back = { kind: 'roll-back', scope: 'environment', reason: null } as const;
    expect(await world.deployments.request(id, back)).toMatchObject({ kind: 'not-current' });
    await world.join('c', 'Development');
    expect(await plans()).toEqual([]);
  });

  it('is refused while a deployment holds the module there, from its beginning to its end', async () => {
    await world.join('a', 'Development');
    expect(await remove()).toEqual({ kind: 'not-there' });
    const id = await world.deploy('1.0.0', 'Development');
    const refused = { kind: 'deployment-in-progress', id };
    expect(await remove()).toEqual(refused);
    await world.step(id, ({ stages }) => ({
      kind: 'complete-stage',
      status: 'Running',
      stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }],
    }));
    await world.step(id, (view) => startDeploy(view));
    expect(await remove()).toEqual(refused);
    await world.step(id, (view) => completeDeploy(view));
    expect(await remove()).toEqual(refused);
    await world.step(id, (view) => ({
      kind: 'finish',
      status: 'Succeeded',
      stages: [{ stageId: view.stages[2]!.id, status: 'Succeeded' }],
    }));
    expect(await remove()).toEqual({ kind: 'removed' });
  });
});
