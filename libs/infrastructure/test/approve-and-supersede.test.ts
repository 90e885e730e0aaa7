import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestPostgres } from './postgres.js';
import { newDeployment, startDeploy, World } from './world.js';

let postgres: TestPostgres;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  await world.publish('1.0.0');
});

describe('an approval', () => {
  const page = { limit: 1, cursor: null };
  const say = (id: string, approved: boolean, by: string) =>
    world.deployments.decideApproval(id, { approved, by, reason: 'looked at it' });

  async function waiting(module: string, expiresInSeconds: number, required = 1): Promise<string> {
    await world.publish('1.0.0', module);
    const id = await world.deploy('1.0.0', 'Staging', { module, requireApproval: true });
    await world.step(id, ({ stages, now }) => ({
      status: 'AwaitingApproval',
      stages: stages.slice(0, 4).map((stage) =>
        stage.name === 'Approval'
          ? {
              stageId: stage.id,
              status: 'Waiting',
              approval: {
                requestedAt: now,
                expiresAt: now + expiresInSeconds * 1000,
                required,
                approvals: [],
                verdict: null,
              },
            }
          : { stageId: stage.id, status: 'Skipped' },
      ),
    }));
    return id;
  }

  it('is given by someone else, once', async () => {
    const id = await waiting('a', 3600);
    expect((await world.deployments.approvals('Pending', page)).items).toMatchObject([
      { deploymentId: id, environment: 'Staging', status: 'Pending', verdict: null },
    ]);
    expect(await say(id, true, 'USER@example.com')).toEqual({ kind: 'own-approval' });
    expect(await say(id, true, 'lead@example.com')).toMatchObject({
      kind: 'accepted',
      approval: { status: 'Approved', verdict: { by: 'lead@example.com', reason: 'looked at it' } },
    });
    expect(await say(id, false, 'lead@example.com')).toEqual({ kind: 'nothing-to-approve' });
    expect((await world.view(id)).stages[3]!.approval?.verdict).toMatchObject({ approved: true });
    expect(await world.rollouts.claimDue(1, 1)).toEqual([id]);
  });

  it('is given by as many different people as it takes, and refused by one', async () => {
    const id = await waiting('a', 3600, 2);
    expect(await say(id, true, 'one@example.com')).toMatchObject({
      kind: 'accepted',
      approval: { status: 'Pending', required: 2, approvals: [{ by: 'one@example.com' }], verdict: null },
    });
    expect(await say(id, true, 'ONE@example.com')).toMatchObject({
      approval: { approvals: [{ by: 'one@example.com' }] },
    });
    expect(await say(id, true, 'user@example.com')).toEqual({ kind: 'own-approval' });
    expect(await say(id, true, 'two@example.com')).toMatchObject({
      approval: { status: 'Approved', verdict: { by: 'two@example.com' }, approvals: [{}, { by: 'two@example.com' }] },
    });
    const events = await world.deployments.events(id, { limit: 50, cursor: null });
    expect(events?.items.filter(({ type }) => type === 'approved').map(({ message }) => message)).toEqual([
      'one@example.com approved Staging (1 of 2): looked at it',
      'two@example.com approved Staging (2 of 2): looked at it',
    ]);

    const other = await waiting('b', 3600, 3);
    await say(other, true, 'one@example.com');
    expect(await say(other, false, 'one@example.com')).toMatchObject({ approval: { status: 'Rejected' } });
    expect(await say(other, true, 'two@example.com')).toEqual({ kind: 'nothing-to-approve' });
  });

  it('of two people at once counts both', async () => {
    const id = await waiting('a', 3600, 2);
    await Promise.all([say(id, true, 'one@example.com'), say(id, true, 'two@example.com')]);
    expect((await world.view(id)).stages[3]!.approval).toMatchObject({
      approvals: [{}, {}],
      verdict: { approved: true },
    });
  });

  it('may be refused by the requester, and expires', async () => {
    expect(await say(await waiting('a', 3600), false, 'user@example.com')).toMatchObject({
      approval: { status: 'Rejected' },
    });
    expect(await say(await waiting('b', -1), true, 'lead@example.com')).toEqual({ kind: 'nothing-to-approve' });
    const first = await world.deployments.approvals(null, page);
    const second = await world.deployments.approvals(null, { limit: 1, cursor: first.nextCursor });
    expect([...first.items, ...second.items].map(({ status }) => status)).toEqual(['Expired', 'Rejected']);
    expect(second.nextCursor).toBeNull();
  });
});

describe('superseding', () => {
  it('asks the one in the way to make room, and the newest waits for the one before it', async () => {
    const first = await world.deploy('1.0.0', 'QA');
    const second = await world.deploy('1.0.0', 'QA', { onConflict: 'supersede' });
    const third = await world.deploy('1.0.0', 'QA', { onConflict: 'supersede' });
    expect((await world.view(first)).deployment.request).toMatchObject({ kind: 'supersede', by: second });
    expect((await world.view(second)).deployment.request).toMatchObject({ kind: 'supersede', by: third });
    expect((await world.view(third)).deployment.supersedes).toEqual({ id: second, status: 'Pending' });
    expect(await world.deployments.create(newDeployment('1.0.0', 'QA'))).toMatchObject({
      kind: 'deployment-in-progress',
    });
  });

  it('needs nobody in the way, and lets nodes be taken back beside the stages that wait', async () => {
    const first = await world.deploy('1.0.0', 'Development', { onConflict: 'supersede' });
    await world.step(first, ({ stages }) => ({ stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }] }));
    await world.step(first, startDeploy);
    await world.deploy('1.0.0', 'Development', { onConflict: 'supersede' });
    await world.step(first, ({ stages }) => ({
      status: 'RollingBack',
      stages: [{ stageId: stages[1]!.id, status: 'RollingBack' }],
    }));
    expect((await world.view(first)).stages[1]!.status).toBe('RollingBack');
  });

  it('leaves a chain of those that came at once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, () =>
        world.deployments.create(newDeployment('1.0.0', 'QA', { onConflict: 'supersede' })),
      ),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(5).fill('created'));
    const rows = await world.rows('SELECT DISTINCT supersedes FROM hotswap.deployment WHERE supersedes IS NOT NULL');
    expect(rows).toHaveLength(4);
  });
});
