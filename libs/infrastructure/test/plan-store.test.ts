import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { PlannedDeployment, Situation } from '@hotswap/orchestrator';
import { PostgresPlanStore } from '../src/plans/postgres-plan-store.js';
import { TestPostgres } from './postgres.js';
import { decision, newDeployment, World } from './world.js';

let postgres: TestPostgres;
let world: World;
let plans: PostgresPlanStore;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  plans = new PostgresPlanStore(world.dataSource);
  await world.keepBeating();
  await world.publish('1.0.0');
  await world.publish('2.0.0');
  await world.join('a', 'Development');
});

async function situation(changes: Partial<PlannedDeployment> = {}): Promise<Situation> {
  const outcome = await plans.load({ ...newDeployment('1.0.0', 'QA'), ...changes });
  if (outcome.kind !== 'found') throw new Error(outcome.kind);
  return outcome.situation;
}

const create = (planRevision: string) => world.deployments.create(newDeployment('1.0.0', 'QA', { planRevision }));

/** Each changes something that a plan depends on. */
const changes: [string, () => Promise<unknown>][] = [
  [
    'a policy',
    async () => {
      const { policy, revision } = await world.clusters.policy('QA');
      await world.clusters.replacePolicy('QA', { ...policy, warmSeconds: 1 }, revision);
    },
  ],
  ['a node that joins', () => world.join('b', 'QA')],
  ['a node that is lost', () => world.rows(`UPDATE hotswap.node SET last_heartbeat_at = now() - interval '1 minute'`)],
  [
    'configuration',
    () =>
      world.rows(
        `INSERT INTO hotswap.module_configuration (module, environment, revision, "values") VALUES ('payment-processor', 'QA', 1, '{}')`,
      ),
  ],
  [
    'a withdrawn version',
    () => world.rows(`UPDATE hotswap.module_version SET withdrawn_at = now() WHERE version = '1.0.0'`),
  ],
  ['what an environment runs', () => world.succeedInDevelopment('2.0.0')],
  ['another deployment under way', () => world.deploy('2.0.0', 'Development')],
];

describe('A situation', () => {
  it('is that of every environment on the way, and stays the same while nothing changes', async () => {
    const first = await situation();
    expect(
      first.environments.map(({ record, target }) => [record.environment, record.revision, target.version]),
    ).toEqual([
      ['Development', 0, '1.0.0'],
      ['QA', 0, '1.0.0'],
    ]);
    expect(first.environments.map(({ cluster }) => cluster.live.map(({ id }) => id))).toEqual([['a'], []]);
    expect(first).toMatchObject({ isWithdrawn: false, inProgress: null });
    await world.publish('3.0.0');
    await world.join('z', 'Production');
    expect((await situation()).revision).toBe(first.revision);
  });

  it.each(changes)('has another revision after %s', async (_, change) => {
    const { revision } = await situation();
    await change();
    expect((await situation()).revision).not.toBe(revision);
  });

  it('has another revision once its environment freezes, and for another request', async () => {
    const { policy, revision } = await world.clusters.policy('QA');
    const inAMoment = new Date(Date.now() - 60_000).toISOString().slice(0, 16);
    const windows = [{ from: inAMoment, to: '2999-01-01T00:00' }];
    const freeze = [{ name: 'audit', timeZone: 'UTC', windows, runningRollouts: 'hold' as const }];
    const free = await situation();
    await world.clusters.replacePolicy('QA', { ...policy, freeze }, revision);
    // As if the policy had had no revision of its own: what is left is that it is frozen now.
    await world.rows('UPDATE hotswap.environment SET policy_revision = $1', [revision]);
    expect((await situation()).revision).not.toBe(free.revision);
    const revisions = await Promise.all(
      [{}, { version: '2.0.0' }, { targetEnvironment: 'Development' as const }, { requireApproval: true }].map(
        async (change) => (await situation(change)).revision,
      ),
    );
    expect(new Set(revisions).size).toBe(4);
  });

  it('of what was not published is none', async () => {
    expect(await plans.load(newDeployment('9.0.0', 'QA'))).toEqual({ kind: 'version-not-found' });
    expect(await plans.load(newDeployment('1.0.0', 'QA', { module: 'nobody' }))).toEqual({ kind: 'module-not-found' });
  });
});

describe('A deployment that is to follow a plan', () => {
  it('is written while the plan holds', async () => {
    expect(await create((await situation()).revision)).toMatchObject({ kind: 'created' });
  });

  it.each(changes.slice(0, 4))('is refused after %s, and leaves nothing', async (_, change) => {
    const { revision } = await situation();
    await change();
    expect(await create(revision)).toEqual({ kind: 'plan-outdated' });
    expect(await world.rows('SELECT FROM hotswap.deployment')).toEqual([]);
  });

  it('by the plan of another request is refused', async () => {
    const { revision } = await situation({ version: '2.0.0' });
    expect(await create(revision)).toEqual({ kind: 'plan-outdated' });
  });

  it('of several that follow one plan and take another’s place only one is written, whatever is locked meanwhile', async () => {
    const holder = await world.deploy('1.0.0', 'QA');
    const wish = { version: '2.0.0', onConflict: 'supersede' as const };
    const { revision } = await situation(wish);
    const follow = () =>
      world.deployments.create(newDeployment('2.0.0', 'QA', { onConflict: 'supersede', planRevision: revision }));
    const lookAtHolder = async () => {
      const view = await world.view(holder);
      return world.rollouts.commit(view, decision(view));
    };
    const outcomes = await Promise.all([follow(), lookAtHolder(), follow(), follow(), lookAtHolder(), follow()]);
    const kinds = outcomes.flatMap((outcome) => (typeof outcome === 'string' ? [] : [outcome.kind]));
    expect(kinds.sort()).toEqual(['created', 'plan-outdated', 'plan-outdated', 'plan-outdated']);
    const [created] = await world.rows<{ id: string; supersedes: string }>(
      'SELECT id, supersedes FROM hotswap.deployment WHERE supersedes IS NOT NULL',
    );
    expect(created!.supersedes).toBe(holder);
    expect((await world.view(holder)).deployment.request).toMatchObject({ kind: 'supersede', by: created!.id });
  });

  it('of two that follow one plan only one is written', async () => {
    const { revision } = await situation();
    const outcomes = await Promise.all([create(revision), create(revision), create(revision)]);
    expect(outcomes.filter(({ kind }) => kind === 'created')).toHaveLength(1);
    expect(new Set(outcomes.map(({ kind }) => kind))).not.toContain('repeated');
  });
});
