import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestPostgres } from './postgres.js';
import { decision, startDeploy, World } from './world.js';

const unknownId = '0193e3a6-0000-7000-8000-000000000000';
const reason = null;

let postgres: TestPostgres;
let world: World;
let id: string;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  await world.publish('1.0.0');
  id = await world.deploy('1.0.0', 'Development');
});

const typesOfEvents = async () =>
  (await world.deployments.events(id, { limit: 50, cursor: null }))?.items.map(({ type }) => type);

describe('pausing', () => {
  it('is a fact in the row, once, and ends as a pause that is kept', async () => {
    expect(await world.deployments.control(id, { kind: 'resume', reason })).toBe('not-paused');
    const before = await world.view(id);
    expect(await world.deployments.control(id, { kind: 'pause', reason: 'lunch' })).toBe('accepted');
    const paused = (await world.view(id)).deployment;
    expect(paused.pausedAt).toEqual(expect.any(Number));
    expect(paused.revision).toBe(before.deployment.revision + 1);
    expect(await world.deployments.control(id, { kind: 'pause', reason })).toBe('accepted');
    expect((await world.view(id)).deployment).toEqual(paused);

    expect(await world.deployments.control(id, { kind: 'resume', reason })).toBe('accepted');
    const { deployment } = await world.view(id);
    expect(deployment.pausedAt).toBeNull();
    expect(deployment.pauses).toEqual([{ from: paused.pausedAt, to: expect.any(Number) }]);
    expect(deployment.pauses[0]!.to).toBeGreaterThanOrEqual(paused.pausedAt!);
    expect(await world.deployments.control(id, { kind: 'resume', reason })).toBe('not-paused');
    expect(await typesOfEvents()).toEqual(['deployment-created', 'paused', 'resumed']);
  });

  it('makes the deployment due at once', async () => {
    await world.rows(`UPDATE hotswap.deployment SET next_look_at = now() + interval '1 hour'`);
    expect(await world.rollouts.claimDue(10, 1)).toEqual([]);
    await world.deployments.control(id, { kind: 'pause', reason });
    expect(await world.rollouts.claimDue(10, 1)).toEqual([id]);
  });

  it('is refused for what is on its way back, or unknown', async () => {
    await world.deployments.request(id, { kind: 'cancel', reason });
    expect(await world.deployments.control(id, { kind: 'pause', reason })).toBe('not-running');
    expect(await world.deployments.control(unknownId, { kind: 'pause', reason })).toBe('deployment-not-found');
    expect(await world.deployments.control('no-uuid', { kind: 'pause', reason })).toBe('deployment-not-found');
  });

  it('supersedes what was decided without it', async () => {
    const view = await world.view(id);
    await world.deployments.control(id, { kind: 'pause', reason });
    expect(await world.rollouts.commit(view, decision(view, { status: 'Running' }))).toBe('superseded');
  });
});

describe('promoting', () => {
  it('needs a Deploy stage that runs, and is used up by a decision', async () => {
    expect(await world.deployments.control(id, { kind: 'promote', full: false, reason })).toBe('nothing-to-promote');
    await deployView();
    await world.step(id, startDeploy);
    expect(await world.deployments.control(id, { kind: 'promote', full: true, reason })).toBe('accepted');
    expect(await world.deployments.control(id, { kind: 'promote', full: false, reason })).toBe('accepted');
    expect((await world.view(id)).deployment.promotion).toBe('full');
    await world.step(id, () => ({ usesPromotion: true }));
    expect((await world.view(id)).deployment.promotion).toBeNull();
    expect(await typesOfEvents()).toEqual(expect.arrayContaining(['promoted']));
  });
});

/** Verify is done; the Deploy stage is in hand. */
async function deployView() {
  await world.step(id, (view) => ({
    status: 'Running',
    stages: [{ stageId: view.stages[0]!.id, status: 'Succeeded' }],
  }));
  return world.view(id);
}
