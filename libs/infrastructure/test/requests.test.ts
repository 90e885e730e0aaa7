import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestPostgres } from './postgres.js';
import { completeDeploy, moduleName, startDeploy, World } from './world.js';

let postgres: TestPostgres;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  await world.publish('1.0.0');
  await world.publish('2.0.0');
  await world.join('a', 'Development');
});

const rollBack = (id: string, scope: 'environment' | 'all' = 'environment') =>
  world.deployments.request(id, { kind: 'roll-back', scope, reason: 'too slow' });
const cancel = (id: string) => world.deployments.request(id, { kind: 'cancel', reason: null });
const unknown = '0193e3a6-0000-7000-8000-000000000000';

async function verified(target: 'Development' | 'QA'): Promise<string> {
  const id = await world.deploy('1.0.0', target);
  await world.step(id, ({ stages }) => ({
    status: 'Running',
    stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }],
  }));
  return id;
}

describe('cancelling', () => {
  it('is written into an unfinished deployment and makes it due; a finished one is not running', async () => {
    const id = await world.deploy('1.0.0', 'QA');
    await world.step(id, () => ({ recheckAt: null }));
    const before = await world.view(id);
    expect(await cancel(id)).toEqual({ kind: 'accepted' });
    const { deployment, now } = await world.view(id);
    expect(deployment.request).toEqual({ kind: 'cancel', reason: null, at: expect.any(Number) });
    expect(deployment.request!.at).toBeLessThanOrEqual(now);
    expect(deployment.revision).toBe(before.deployment.revision + 1);
    expect(await world.rollouts.claimDue(1, 1)).toEqual([id]);
    await world.step(id, () => ({ kind: 'finish', status: 'Cancelled' }));
    expect(await cancel(id)).toEqual({ kind: 'not-running' });
    expect(await rollBack(id)).toEqual({ kind: 'nothing-to-roll-back' });
    expect(await cancel(unknown)).toEqual({ kind: 'deployment-not-found' });
    expect(await cancel('no-uuid')).toEqual({ kind: 'deployment-not-found' });
  });
});

describe('rolling back what is unfinished', () => {
  it('needs a Deploy stage in scope that has started', async () => {
    const id = await world.deploy('1.0.0', 'QA');
    expect(await rollBack(id)).toEqual({ kind: 'nothing-to-roll-back' });
    expect(await rollBack(id, 'all')).toEqual({ kind: 'nothing-to-roll-back' });
    await world.step(id, ({ stages }) => ({
      status: 'Running',
      stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }],
    }));
    await world.step(id, startDeploy);
    expect(await rollBack(id)).toEqual({ kind: 'accepted' });
    expect((await world.view(id)).deployment.request).toMatchObject({ kind: 'roll-back', scope: 'environment' });
  });

  it('takes only "all" to an earlier environment, and Validate to the one it validates', async () => {
    const toQa = await verified('QA');
    await world.step(toQa, startDeploy);
    await world.step(toQa, completeDeploy);
    expect(await rollBack(toQa)).toEqual({ kind: 'nothing-to-roll-back' });
    expect(await rollBack(toQa, 'all')).toEqual({ kind: 'accepted' });
    await world.step(toQa, startDeploy);
    await world.step(toQa, completeDeploy);
    expect((await world.view(toQa)).stages.at(-1)).toMatchObject({ name: 'Validate', status: 'Pending' });
    expect(await rollBack(toQa)).toEqual({ kind: 'accepted' });
  });

  it('does not reach where another deployment has begun', async () => {
    const toQa = await verified('QA');
    await world.step(toQa, startDeploy);
    await world.step(toQa, completeDeploy);
    const other = await world.deploy('2.0.0', 'Development');
    expect(await rollBack(toQa, 'all')).toEqual({ kind: 'deployment-in-progress', id: other });
  });
});

describe('rolling back what has succeeded', () => {
  it('reopens it: its stage goes back, and the slot is taken again', async () => {
    const id = await world.succeedInDevelopment('1.0.0');
    expect(await rollBack(id)).toEqual({ kind: 'accepted' });
    const view = await world.view(id);
    expect(view.deployment).toMatchObject({
      status: 'RollingBack',
      finishedAt: null,
      rollbackReason: { code: 'rollback-requested' },
      request: { kind: 'roll-back', scope: 'environment', reason: 'too slow' },
    });
    expect(view.stages.map(({ status }) => status)).toEqual(['Succeeded', 'RollingBack', 'Succeeded']);
    expect(view.environment!.target).toEqual(view.stages[1]!.to);
    expect(await world.rollouts.claimDue(1, 1)).toEqual([id]);
    await expect(world.deploy('2.0.0', 'Development')).rejects.toThrow('deployment-in-progress');
    expect((await world.deployments.events(id, { limit: 200, cursor: null }))!.items.at(-1)).toMatchObject({
      type: 'rolling-back',
      stage: 'Deploy',
      environment: 'Development',
    });
  });

  it('is refused when the environment has moved on', async () => {
    const first = await world.succeedInDevelopment('1.0.0');
    const second = await world.succeedInDevelopment('2.0.0');
    expect(await rollBack(first)).toMatchObject({ kind: 'not-current' });
    expect(await rollBack(first, 'all')).toMatchObject({ kind: 'not-current' });
    expect(await rollBack(second)).toEqual({ kind: 'accepted' });
  });

  it('is refused while another deployment is at it', async () => {
    const id = await world.succeedInDevelopment('1.0.0');
    const other = await world.deploy('2.0.0', 'Development');
    expect(await rollBack(id)).toEqual({ kind: 'deployment-in-progress', id: other });
    expect((await world.deployments.find(id))!.deployment.status).toBe('Succeeded');
  });

  it('lets one of two win: the rollback or the next deployment', async () => {
    const id = await world.succeedInDevelopment('1.0.0');
    const [back, next] = await Promise.all([
      rollBack(id),
      world.deployments.create({
        module: moduleName,
        version: '2.0.0',
        targetEnvironment: 'Development',
        requesterEmail: 'user@example.com',
        description: null,
        metadata: {},
        requireApproval: false,
        onConflict: 'reject',
        traceparent: null,
        idempotency: null,
      }),
    ]);
    expect([back.kind, next.kind].filter((kind) => kind === 'deployment-in-progress')).toHaveLength(1);
  });

  it('has nothing to take back where the environment ran it already, or twice', async () => {
    const id = await world.deploy('1.0.0', 'Development');
    await world.step(id, ({ stages }) => ({
      kind: 'finish',
      status: 'Succeeded',
      stages: stages.map((stage) => ({ stageId: stage.id, status: stage.name === 'Deploy' ? 'Skipped' : 'Succeeded' })),
    }));
    expect(await rollBack(id)).toEqual({ kind: 'nothing-to-roll-back' });
    const { stages } = (await world.deployments.find(id))!;
    expect(stages[1]).toMatchObject({ status: 'Skipped', startedAt: null, finishedAt: expect.any(Number) });
  });
});
