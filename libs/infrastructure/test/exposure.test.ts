import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestPostgres } from './postgres.js';
import { completeDeploy, releaseOf, report, sample, startDeploy, World } from './world.js';

let postgres: TestPostgres;
let world: World;
let sequence = 0;

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

async function answers(version: string, requests: number, failures: number): Promise<void> {
  const traffic = [sample(releaseOf(version), requests, failures)];
  expect(await world.nodes.report('a', report('a-boot', ++sequence, { traffic }))).toBe('accepted');
}

const exposureOf = async (id: string) => (await world.deployments.find(id))!.exposure;
const counts = async (id: string) => {
  const { requests, failures } = await exposureOf(id);
  return [requests, failures];
};

/** Verified, and every node of Development is told to run it. */
async function start(version: string): Promise<string> {
  const id = await world.deploy(version, 'Development');
  await world.step(id, (view) => ({
    status: 'Running',
    stages: [{ stageId: view.stages[0]!.id, status: 'Succeeded' }],
  }));
  await world.step(id, (view) => startDeploy(view));
  return id;
}

const validate = (id: string) =>
  world.step(id, (view) => ({
    kind: 'finish',
    status: 'Succeeded',
    stages: [{ stageId: view.stages[2]!.id, status: 'Succeeded' }],
  }));

/** As if all that has happened so far had happened so many minutes earlier. */
async function passMinutes(minutes: number): Promise<void> {
  const ago = `interval '${minutes} minutes'`;
  await world.rows(`UPDATE hotswap.traffic_sample SET at = at - ${ago}`);
  await world.rows(`UPDATE hotswap.deployment_stage SET exposed_since = exposed_since - ${ago}`);
}

describe('the exposure of a deployment', () => {
  it('counts requests to the new version alone, from the first step to the end of the validation', async () => {
    await answers('1.0.0', 500, 1);
    const id = await world.deploy('1.0.0', 'Development');
    expect(await exposureOf(id)).toEqual({ seconds: 0, requests: 0, failures: 0 });
    await world.step(id, (view) => ({
      status: 'Running',
      stages: [{ stageId: view.stages[0]!.id, status: 'Succeeded' }],
    }));
    await world.step(id, (view) => startDeploy(view));
    await answers('1.0.0', 100, 4);
    await answers('2.0.0', 1000, 1000);
    expect(await counts(id)).toEqual([100, 4]);
    await world.step(id, (view) => completeDeploy(view));
    await answers('1.0.0', 10, 1);
    await validate(id);
    const atEnd = await exposureOf(id);
    expect(atEnd).toEqual({ seconds: expect.any(Number), requests: 110, failures: 5 });
    expect(atEnd.seconds).toBeGreaterThan(0);
    await answers('1.0.0', 999, 99);
    expect(await exposureOf(id)).toEqual(atEnd);
    const { items } = await world.deployments.list({}, { limit: 10, cursor: null });
    expect(items.map(({ exposure }) => exposure)).toEqual([atEnd]);
  });

  it('loses nothing when samples are pruned under way, and none of the end', async () => {
    const id = await start('2.0.0');
    await answers('2.0.0', 100, 4);
    await answers('1.0.0', 100, 4);
    await passMinutes(61);
    await answers('2.0.0', 10, 0);
    await Promise.all([world.clock.prune(), world.clock.prune()]);
    expect(await world.rows('SELECT FROM hotswap.traffic_sample')).toHaveLength(1);
    expect(await counts(id)).toEqual([110, 4]);
    expect((await exposureOf(id)).seconds).toBeGreaterThanOrEqual(3660);
    await world.step(id, (view) => completeDeploy(view));
    await validate(id);
    await passMinutes(61);
    await world.clock.prune();
    expect(await counts(id)).toEqual([110, 4]);
  });

  it('goes on when a finished deployment is taken back, until it is', async () => {
    await world.succeedInDevelopment('1.0.0');
    const id = await start('2.0.0');
    await answers('2.0.0', 100, 4);
    await world.step(id, (view) => completeDeploy(view));
    await validate(id);
    const before = await exposureOf(id);
    await passMinutes(10);
    expect(await world.deployments.request(id, { kind: 'roll-back', scope: 'environment', reason: null })).toEqual({
      kind: 'accepted',
    });
    await world.step(id, (view) => ({ ...startDeploy(view), status: 'RollingBack', stages: [] }));
    await answers('2.0.0', 3, 3);
    expect(await counts(id)).toEqual([103, 7]);
    await world.step(id, (view) => ({
      ...completeDeploy(view),
      status: 'RolledBack',
      stages: [{ stageId: view.stages[1]!.id, status: 'RolledBack' }],
    }));
    const after = await exposureOf(id);
    expect(after).toMatchObject({ requests: 103, failures: 7 });
    expect(after.seconds).toBeGreaterThan(before.seconds);
    expect(after.seconds).toBeLessThan(600);
    await answers('2.0.0', 5, 5);
    expect(await exposureOf(id)).toEqual(after);
  });
});
