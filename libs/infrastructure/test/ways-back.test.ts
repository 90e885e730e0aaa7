import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ModuleReport } from '@hotswap/agent-protocol';
import { reason, waitOf, withWait, type StageRollback } from '@hotswap/domain';
import { TestPostgres } from './postgres.js';
import { moduleName, releaseOf, report, startDeploy, World } from './world.js';

let postgres: TestPostgres;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  await world.publish('1.0.0');
  await world.clock.beat();
});

/** A deployment whose Deploy stage in Development has given its node the target. */
async function rollingOut(): Promise<string> {
  await world.join('a', 'Development', 'boot-1');
  const id = await world.deploy('1.0.0', 'Development');
  await world.step(id, ({ stages }) => ({
    kind: 'complete-stage',
    status: 'Running',
    stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }],
  }));
  await world.step(id, startDeploy);
  return id;
}

const running: ModuleReport = {
  module: moduleName,
  active: releaseOf('1.0.0').digest,
  candidate: null,
  candidatePercent: 0,
  servingFallback: false,
  instances: [],
};
const taken = { accepted: { epoch: 1, revision: 2 } };
const deathsOf = async (id: string) => (await world.view(id)).environment!.cluster.nodes[0]!.facts.deaths;

describe('A process of a node that another follows', () => {
  it('is kept as a death, with when it had activated the release', async () => {
    const id = await rollingOut();
    await world.nodes.report('a', report('boot-1', 1, { ...taken, modules: [running] }));
    const { environment } = await world.view(id);
    const activatedAt = environment!.cluster.nodes[0]!.observation(moduleName)!.since;
    await world.join('a', 'Development', 'boot-2');
    expect(await deathsOf(id)).toEqual([
      {
        bootId: 'boot-1',
        module: moduleName,
        release: releaseOf('1.0.0').digest,
        activatedAt,
        lastHeardAt: activatedAt,
        noticedAt: expect.any(Number),
      },
    ]);
    await world.join('a', 'Development', 'boot-2');
    expect(await deathsOf(id)).toHaveLength(1);
  });

  it('counts from when it was asked, where it did not live to say that it had done it', async () => {
    const id = await rollingOut();
    const assignedAt = (await world.view(id)).environment!.cluster.nodes[0]!.assignment(moduleName)!.assignedAt;
    await world.nodes.report('a', report('boot-1', 1, taken));
    await world.join('a', 'Development', 'boot-2');
    expect(await deathsOf(id)).toMatchObject([{ bootId: 'boot-1', activatedAt: assignedAt }]);
  });

  it.each([
    ['had said that it leaves', { ...taken, state: 'LameDuck' as const, modules: [running] }],
    ['had not taken the release in', { accepted: { epoch: 1, revision: 1 }, modules: [] }],
  ])('is no death when it %s', async (_what, change) => {
    const id = await rollingOut();
    await world.nodes.report('a', report('boot-1', 1, change));
    await world.join('a', 'Development', 'boot-2');
    expect(await deathsOf(id)).toEqual([]);
  });
});

describe('A rollout', () => {
  it('keeps how its stage was taken back', async () => {
    const id = await rollingOut();
    const rollback: StageRollback = { decidedAt: 1_900_000_000_000, confirmedAt: null, nodes: 1, warmNodes: 1 };
    const { stages } = await world.step(id, (view) => ({
      kind: 'roll-back',
      status: 'RollingBack',
      stages: [{ stageId: view.stages[1]!.id, status: 'RollingBack', rollback }],
    }));
    expect((await world.view(id)).stages[1]!.rollback).toEqual(rollback);
    const confirmed = { ...rollback, confirmedAt: 1_900_000_000_084 };
    const change = { stageId: stages[1]!.id, rollback: confirmed };
    const before = await world.step(id, () => ({ kind: 'advance', status: 'RollingBack', stages: [change] }));
    const after = await world.view(id);
    expect(after.stages[1]!.rollback).toEqual(confirmed);
    expect(after.deployment.revision).toBe(before.deployment.revision + 1);
    expect((await world.deployments.find(id))!.stages[1]!.rollback).toEqual(confirmed);
  });

  it('keeps since when it waits, whoever looks next', async () => {
    const id = await rollingOut();
    const wait = { code: 'nodes-lost', since: 1_900_000_000_000 };
    await world.step(id, () => ({ because: withWait(reason('nodes-lost', '2 nodes are silent'), wait) }));
    expect(waitOf((await world.view(id)).deployment.reason)).toEqual(wait);
  });

  it('of a strategy that someone else has added is kept under its name', async () => {
    const id = await rollingOut();
    await world.step(id, (view) => ({ stages: [{ stageId: view.stages[1]!.id, strategy: 'OneByOne' }] }));
    expect((await world.view(id)).stages[1]!.strategy).toBe('OneByOne');
  });

  it('learns that its version was withdrawn', async () => {
    const id = await rollingOut();
    expect((await world.view(id)).withdrawal).toBeNull();
    await world.rows(`UPDATE hotswap.module_version SET withdrawn_at = now(), withdrawal_reason = 'leaks tokens'`);
    expect((await world.view(id)).withdrawal).toEqual({ at: expect.any(Number), reason: 'leaks tokens' });
  });
});
