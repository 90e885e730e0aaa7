import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ModuleReport } from '@hotswap/agent-protocol';
import { TestPostgres } from './postgres.js';
import { joinRequest, moduleName, planOf, releaseOf, report, sample, World } from './world.js';

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

const membership = async () =>
  (
    await world.rows<{ revision: number }>(
      `SELECT membership_revision AS revision FROM hotswap.environment WHERE name = 'QA'`,
    )
  )[0]!.revision;
const nodeA = async () => (await world.clusters.load('QA')).nodes.find(({ id }) => id === 'a')!;

/** Gives nodes of QA a plan as the cluster pass does. */
async function assign(...nodeIds: string[]): Promise<number> {
  await world.rows(
    `INSERT INTO hotswap.environment_release (environment, module, revision) VALUES ('QA', $1, 1) ON CONFLICT DO NOTHING`,
    [moduleName],
  );
  const cluster = await world.clusters.load('QA');
  return world.clusters.assign(
    cluster,
    nodeIds.map((nodeId) => ({ nodeId, module: moduleName, plan: planOf(releaseOf('1.0.0')) })),
  );
}

function observed(change: Partial<ModuleReport> = {}): ModuleReport {
  return {
    module: moduleName,
    active: releaseOf('1.0.0').digest,
    candidate: null,
    candidatePercent: 0,
    servingFallback: false,
    instances: [
      {
        release: releaseOf('1.0.0').digest,
        version: '1.0.0',
        state: 'Active',
        error: null,
        failureKind: null,
        crashes: 0,
        pid: 1,
      },
    ],
    ...change,
  };
}

describe('joining', () => {
  it('gives a new node an empty document and counts as a change of membership', async () => {
    const before = await membership();
    const outcome = await world.join('a', 'QA');
    expect(outcome).toEqual({ kind: 'joined', document: { epoch: 1, revision: 1, modules: [] } });
    expect(await membership()).toBe(before + 1);
    expect(await world.nodes.secretHash('a')).toBe('hash of a');
    expect(await world.nodes.secretHash('z')).toBeNull();
    expect((await nodeA()).facts).toMatchObject({
      bootId: 'a-boot',
      reportedState: 'Starting',
      zone: 'a',
      accepted: null,
    });
  });

  it('gives a node that comes back its document, and forgets what its last boot said', async () => {
    await world.join('a', 'QA');
    await assign('a');
    await world.nodes.report('a', report('a-boot', 1, { modules: [observed()] }));
    expect((await nodeA()).observation(moduleName)).not.toBeNull();
    const outcome = await world.join('a', 'QA', 'second-boot');
    expect(outcome).toMatchObject({ document: { revision: 2, modules: [{ active: releaseOf('1.0.0') }] } });
    expect((await nodeA()).observation(moduleName)).toBeNull();
    expect(await world.nodes.report('a', report('a-boot', 2))).toBe('fenced');
    expect(await world.nodes.report('a', report('second-boot', 0))).toBe('accepted');
  });

  it('keeps an identity for who has its secret', async () => {
    const request = joinRequest('a', 'QA', 'b1');
    await world.nodes.join(request, 'first', null);
    expect(await world.nodes.join(request, 'second', 'wrong')).toEqual({ kind: 'identity-taken' });
    expect(await world.nodes.join(joinRequest('a', 'Staging', 'b1'), 'x', 'first')).toEqual({ kind: 'identity-taken' });
    expect(await world.nodes.join(request, 'second', 'first')).toMatchObject({ kind: 'joined' });
    expect(await world.nodes.secretHash('a')).toBe('first');
    expect(await world.nodes.join(request, 'third', null)).toMatchObject({ kind: 'joined' });
    expect(await world.nodes.secretHash('a')).toBe('third');
    await world.rows('UPDATE hotswap.node SET decommissioned_at = now()');
    expect(await world.nodes.join(request, 'third', 'third')).toEqual({ kind: 'decommissioned' });
    expect(await world.nodes.report('a', report('b1', 1))).toBe('decommissioned');
    expect(await world.nodes.document('a')).toBeNull();
    expect(await world.nodes.report('z', report('b1', 1))).toBe('unknown-node');
  });

  it('is over for a node that was decommissioned, which counts as a change of membership', async () => {
    await world.join('a', 'QA');
    const before = await membership();
    expect(await world.nodes.decommission('a')).toBe(true);
    expect(await membership()).toBe(before + 1);
    expect(await world.nodes.decommission('a')).toBe(false);
    expect(await world.nodes.decommission('z')).toBe(false);
    expect(await membership()).toBe(before + 1);
    expect((await world.clusters.load('QA')).nodes).toEqual([]);
    expect(await world.nodes.report('a', report('a-boot', 1))).toBe('decommissioned');
    expect(await world.join('a', 'QA', 'b2')).toEqual({ kind: 'decommissioned' });
    expect(await world.nodes.drain('a')).toBe(false);
  });

  it('takes many nodes at once', async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `n${String(index).padStart(2, '0')}`);
    await Promise.all(ids.map((id) => world.join(id, 'QA')));
    expect((await world.clusters.load('QA')).nodes.map(({ id }) => id)).toEqual(ids);
  });
});

describe('a node that knows more than the database', () => {
  it('raises the epoch when it refuses a document for having the number of one that it accepted, and other content', async () => {
    await world.join('a', 'QA');
    const accepted = { epoch: 1, revision: 1 };
    const refused = 'document 1.1 has other content than the one of that number in force';
    await world.nodes.report('a', report('a-boot', 1, { accepted, refused: 'document 1.0 is older' }));
    expect(await world.nodes.document('a')).toMatchObject({ epoch: 1 });
    expect(await world.nodes.report('a', report('a-boot', 2, { accepted, refused, diverged: true }))).toBe('accepted');
    expect(await world.nodes.document('a')).toMatchObject({ epoch: 2 });
    await world.nodes.report('a', report('a-boot', 3, { accepted, refused, diverged: true }));
    expect(await world.nodes.document('a')).toMatchObject({ epoch: 2 });
  });

  it('has to join again when it was started after the boot that a restored database knows, and is no copy', async () => {
    await world.nodes.join(joinRequest('a', 'QA', '7.first'), 'first', null);
    expect(await world.nodes.report('a', report('8.second', 1))).toBe('unknown-node');
    expect(await world.nodes.join(joinRequest('a', 'QA', '8.second'), 'first', 'first')).toMatchObject({
      kind: 'joined',
    });
    expect(await world.nodes.report('a', report('8.second', 2))).toBe('accepted');
    for (const bootId of ['7.first', '8.copy', '10'])
      expect([bootId, await world.nodes.report('a', report(bootId, 3))]).toEqual([bootId, 'fenced']);
    expect(await world.nodes.report('a', report('10.third', 3))).toBe('unknown-node');
  });

  it.each(['join', 'report'] as const)('raises the epoch by its %s, for every node', async (how) => {
    await world.join('a', 'QA');
    await world.join('b', 'QA');
    await assign('a', 'b');
    const accepted = { epoch: 1, revision: 40 };
    if (how === 'join') {
      expect(await world.nodes.join({ ...joinRequest('a', 'QA', 'later'), accepted }, 'x', 'hash of a')).toMatchObject({
        document: { epoch: 2, modules: [{ module: moduleName }] },
      });
    } else {
      expect(await world.nodes.report('a', report('a-boot', 1, { accepted }))).toBe('accepted');
    }
    const revisions = await world.nodes.documentRevisions(['a', 'b']);
    expect([...revisions.values()].map(({ epoch }) => epoch)).toEqual([2, 2]);
    expect((await nodeA()).hasAccepted(moduleName)).toBe(false);
    expect(await world.join('c', 'QA')).toMatchObject({ document: { epoch: 2 } });
    const newest = revisions.get('a')!;
    expect(await world.nodes.report('a', report(how === 'join' ? 'later' : 'a-boot', 2, { accepted: newest }))).toBe(
      'accepted',
    );
    expect((await nodeA()).hasAccepted(moduleName)).toBe(true);
    expect(await world.nodes.documentRevisions(['a'])).toEqual(new Map([['a', newest]]));
  });
});

describe('documents', () => {
  it('rise by one at every change, never change, and stand still when nothing does', async () => {
    await world.join('a', 'QA');
    await world.join('b', 'QA');
    expect(await assign('a', 'b')).toBe(2);
    expect(await assign('a', 'b')).toBe(0);
    expect(await world.nodes.documentRevisions(['a'])).toEqual(new Map([['a', { epoch: 1, revision: 2 }]]));
    const written = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const cluster = await world.clusters.load('QA');
        const plan = planOf(releaseOf('1.0.0'), releaseOf('1.0.0'), index + 1);
        return world.clusters.assign(cluster, [
          { nodeId: index % 2 ? 'a' : 'b', module: moduleName, plan },
          { nodeId: index % 2 ? 'b' : 'a', module: moduleName, plan },
        ]);
      }),
    );
    expect(written).toEqual(Array(8).fill(2));
    const documents = await world.rows<{ revision: number }>(
      `SELECT revision FROM hotswap.node_document WHERE node_id = 'a' ORDER BY revision`,
    );
    expect(documents.map(({ revision }) => revision)).toEqual(Array.from({ length: 10 }, (_, index) => index + 1));
  });

  it('are left alone by a cluster pass that has not seen the newest record, or one that a rollout owns', async () => {
    await world.join('a', 'QA');
    await assign('a');
    const cluster = await world.clusters.load('QA');
    const plans = [{ nodeId: 'a', module: moduleName, plan: planOf(null) }];
    await world.rows('UPDATE hotswap.environment_release SET revision = revision + 1');
    expect(await world.clusters.assign(cluster, plans)).toBe(0);
    const id = await world.deploy('1.0.0', 'QA');
    const [stage] = (await world.deployments.find(id))!.stages;
    await world.rows('UPDATE hotswap.environment_release SET owner_stage_id = $1', [stage!.id]);
    expect(await world.clusters.assign(await world.clusters.load('QA'), plans)).toBe(0);
  });
});

describe('reporting', () => {
  it('counts each report of a boot once', async () => {
    await world.join('a', 'QA');
    const first = report('a-boot', 1, { traffic: [sample(releaseOf('1.0.0'), 10, 1)] });
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => world.nodes.report('a', first)));
    expect(outcomes.sort()).toEqual(['accepted', ...Array<string>(4).fill('repeated')]);
    expect(await world.rows('SELECT FROM hotswap.traffic_sample')).toHaveLength(1);
  });

  it('keeps since when a module is as it is, and drops modules that are gone', async () => {
    await world.join('a', 'QA');
    const seen = async (sequence: number, ...modules: ModuleReport[]) => {
      await world.nodes.report('a', report('a-boot', sequence, { modules }));
      return (await nodeA()).observation(moduleName);
    };
    const first = await seen(1, observed());
    expect(first).toMatchObject({ active: releaseOf('1.0.0').digest, servingFallback: false });
    expect(first!.instances).toEqual([
      {
        release: releaseOf('1.0.0').digest,
        version: '1.0.0',
        state: 'Active',
        error: null,
        failureKind: null,
        crashes: 0,
      },
    ]);
    await world.rows(`UPDATE hotswap.node_observation SET since = since - interval '1 minute'`);
    const same = await seen(2, observed({ instances: [] }));
    expect(same).toEqual({ ...first, instances: [], since: first!.since - 60_000 });
    const changed = await seen(3, observed({ candidate: 'sha256:c', candidatePercent: 5 }));
    expect(changed!.since).toBeGreaterThanOrEqual(first!.since);
    expect(await seen(4)).toBeNull();
  });

  it('changes the membership only with the state, and wakes no one', async () => {
    await world.join('a', 'QA');
    const before = await membership();
    await world.nodes.report('a', report('a-boot', 1, { state: 'Ready' }));
    expect(await membership()).toBe(before + 1);
    await world.nodes.report('a', report('a-boot', 2, { state: 'Ready' }));
    expect(await membership()).toBe(before + 1);
    expect((await nodeA()).facts).toMatchObject({ reportedState: 'Ready' });
  });
});

describe('draining', () => {
  it('is a wish to the boot that is there, in its next document and every later one', async () => {
    await world.join('a', 'QA');
    expect(await world.nodes.drain('a')).toBe(true);
    const drained = { epoch: 1, revision: 2, modules: [], drainedBootId: 'a-boot' };
    expect(await world.nodes.document('a')).toEqual(drained);
    expect(await world.nodes.drain('a')).toBe(true);
    expect(await world.nodes.document('a')).toEqual(drained);
    await assign('a');
    expect(await world.nodes.document('a')).toMatchObject({ revision: 3, drainedBootId: 'a-boot' });
    await world.join('a', 'QA', 'second-boot');
    expect(await world.nodes.drain('a')).toBe(true);
    expect(await world.nodes.document('a')).toMatchObject({ revision: 4, drainedBootId: 'second-boot' });
    expect(await world.nodes.drain('z')).toBe(false);
  });

  it('leaves the node out of what is live, and it is not lost, also once it is switched off', async () => {
    await world.keepBeating();
    for (const id of ['a', 'b', 'c']) await world.join(id, 'QA');
    const ids = (nodes: readonly { id: string }[]) => nodes.map(({ id }) => id);
    for (const id of ['b', 'c']) await world.nodes.report(id, report(`${id}-boot`, 1));
    await world.nodes.report('a', report('a-boot', 1, { state: 'Draining' }));
    const before = await world.clusters.load('QA');
    expect([ids(before.live), ids(before.lost)]).toEqual([['b', 'c'], []]);
    await world.rows(`UPDATE hotswap.node SET last_heartbeat_at = now() - interval '1 minute' WHERE id <> 'c'`);
    const after = await world.clusters.load('QA');
    expect([ids(after.live), ids(after.lost)]).toEqual([['c'], ['b']]);
    const shown = await world.rows('SELECT id, state FROM ops.nodes ORDER BY id');
    expect(shown).toEqual([
      { id: 'a', state: 'Draining' },
      { id: 'b', state: 'Lost' },
      { id: 'c', state: 'Ready' },
    ]);
  });
});
