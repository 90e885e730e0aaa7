import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defaultPolicy, environments } from '@hotswap/domain';
import { signatureLimits } from '@hotswap/module-kit';
import { CursorError } from '@hotswap/orchestrator';
import { latencyQuantileSeconds } from '@hotswap/agent-protocol';
import { PostgresControlPlaneClock } from '../src/postgres-control-plane-clock.js';
import { TestPostgres } from './postgres.js';
import { artifactOf, moduleName, planOf, releaseOf, report, sample, World } from './world.js';

let postgres: TestPostgres;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
});

describe('the catalogue', () => {
  it('keeps a version as it was published, once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => world.publish('1.0.0')));
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['created', 'same', 'same', 'same', 'same']);
    expect(await world.catalog.findVersion(moduleName, '1.0.0')).toEqual({
      name: moduleName,
      version: '1.0.0',
      digest: artifactOf('1.0.0'),
      sizeBytes: 23,
      manifest: { manifest: 1, entry: 'dist/module.js', route: moduleName },
      signers: ['payments-team'],
      publishedAt: expect.any(Date),
      withdrawnAt: null,
      withdrawalReason: null,
    });
    expect(await world.catalog.artifactBytes(artifactOf('1.0.0'))).toEqual(Buffer.from(`${moduleName}@1.0.0`));
    expect(await world.catalog.artifactBytes('sha256:unknown')).toBeNull();
    expect(await world.catalog.findVersion(moduleName, '9.0.0')).toBeNull();
  });

  it('adds the signatures of the same bytes, and refuses other bytes', async () => {
    await world.publish('1.0.0');
    const again = {
      name: moduleName,
      version: '1.0.0',
      digest: artifactOf('1.0.0'),
      bytes: Buffer.from(`${moduleName}@1.0.0`),
      manifest: {},
      bundles: [{ of: '1.0.0', mediaType: 'bundle' }, { of: 'another' }],
      signers: ['release', 'payments-team'],
    };
    const same = await world.catalog.publish(again);
    expect(same).toMatchObject({ outcome: 'same', published: { signers: ['payments-team', 'release'] } });
    expect(await world.catalog.bundles(again.digest)).toHaveLength(2);
    const other = await world.catalog.publish({ ...again, digest: artifactOf('x'), bytes: Buffer.from('x') });
    expect(other).toMatchObject({ outcome: 'other', published: { digest: artifactOf('1.0.0') } });
    expect(await world.catalog.artifactBytes(artifactOf('x'))).toBeNull();
  });

  it('keeps one bundle for each key, the newest, and no more than are verified', async () => {
    await world.publish('1.0.0');
    const by = (hint: string, note: number) => ({ verificationMaterial: { publicKey: { hint } }, note });
    const publish = (...bundles: unknown[]) =>
      world.catalog.publish({
        name: moduleName,
        version: '1.0.0',
        digest: artifactOf('1.0.0'),
        bytes: Buffer.from(`${moduleName}@1.0.0`),
        manifest: {},
        bundles,
        signers: [],
      });
    const kept = () => world.catalog.bundles(artifactOf('1.0.0'));
    for (let note = 0; note < 3; note += 1) expect(await publish(by('a', note))).toMatchObject({ outcome: 'same' });
    expect((await kept()).slice(1)).toEqual([by('a', 2)]);
    const others = Array.from({ length: signatureLimits.bundleCount }, (_, index) => publish(by(`key-${index}`, 0)));
    const outcomes = (await Promise.all(others)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'full')).toHaveLength(2);
    expect(await kept()).toHaveLength(signatureLimits.bundleCount);
    expect(await publish(by('a', 3))).toMatchObject({ outcome: 'same' });
    expect(await kept()).toContainEqual(by('a', 3));
  });

  it('lists modules by name with the newest version first and what runs where', async () => {
    for (const version of ['1.9.0', '1.10.0', '2.0.0-rc.1', '2.0.0']) await world.publish(version);
    for (const name of ['a-module', 'z-module']) await world.publish('1.0.0', name);
    await world.join('a', 'Development');
    await world.succeedInDevelopment('1.10.0');
    const first = await world.catalog.list({ limit: 2, cursor: null });
    expect(first.items).toEqual([
      { name: 'a-module', versions: ['1.0.0'], withdrawnVersions: [], environments: {} },
      {
        name: moduleName,
        versions: ['2.0.0', '2.0.0-rc.1', '1.10.0', '1.9.0'],
        withdrawnVersions: [],
        environments: { Development: '1.10.0' },
      },
    ]);
    const second = await world.catalog.list({ limit: 2, cursor: first.nextCursor });
    expect(second).toEqual({ items: [expect.objectContaining({ name: 'z-module' })], nextCursor: null });
    expect(await world.catalog.find('a-module')).toEqual(first.items[0]);
    expect(await world.catalog.find('unknown')).toBeNull();
    await expect(world.catalog.list({ limit: 2, cursor: '%' })).rejects.toThrow(CursorError);
  });
});

describe('policy', () => {
  it('is the default until someone who has seen the newest one replaces it', async () => {
    for (const name of environments) {
      expect(await world.clusters.policy(name)).toEqual({ policy: defaultPolicy(name), revision: 1 });
    }
    const policy = { ...defaultPolicy('QA'), warmSeconds: 1 };
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => world.clusters.replacePolicy('QA', policy, 1)));
    expect(outcomes.filter((outcome) => outcome !== null)).toEqual([{ policy, revision: 2 }]);
    expect(await world.clusters.policy('QA')).toEqual({ policy, revision: 2 });
  });

  it('leaves deployments the time that a freeze has held them, when it is lifted', async () => {
    await world.publish('1.0.0');
    const id = await world.deploy('1.0.0', 'QA');
    await world.rows(`UPDATE hotswap.deployment SET created_at = now() - interval '2 hours'`);
    const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 16);
    const windows = [{ from: at(-1), to: at(5) }];
    const freeze = [{ name: 'audit', timeZone: 'UTC', windows, runningRollouts: 'hold' as const }];
    await world.clusters.replacePolicy('QA', { ...defaultPolicy('QA'), freeze }, 1);
    expect((await world.view(id)).deployment.pauses).toEqual([]);
    await world.clusters.replacePolicy('QA', defaultPolicy('QA'), 2);
    const { deployment, now } = await world.view(id);
    const from = Date.parse(`${windows[0]!.from}Z`);
    expect(deployment.pauses).toEqual([{ from, to: expect.any(Number) }]);
    expect(deployment.pauses[0]!.to).toBeLessThanOrEqual(now);
    expect(deployment.pauses[0]!.to).toBeGreaterThan(from + 3_500_000);
  });
});

describe('metrics', () => {
  it('are sums per node, module and version, in one point or in steps', async () => {
    await world.publish('1.0.0');
    await world.publish('2.0.0');
    await world.join('a', 'QA');
    await world.join('b', 'QA');
    await world.join('p', 'Production');
    const [one, two] = [releaseOf('1.0.0'), releaseOf('2.0.0')];
    await world.nodes.report('a', report('a-boot', 1, { traffic: [sample(one, 100, 10), sample(two, 5, 0)] }));
    await world.nodes.report('a', report('a-boot', 2, { traffic: [{ ...sample(one, 50, 0), inFlight: 7 }] }));
    await world.nodes.report('b', report('b-boot', 1, { traffic: [sample(one, 1, 0)] }));
    await world.nodes.report('p', report('p-boot', 1, { traffic: [sample(one, 9999, 0)] }));
    const at = new Date((await world.metrics.now()).getTime() - 60_000);
    await world.rows(
      `UPDATE hotswap.traffic_sample SET at = $1::timestamptz + CASE sequence WHEN 1 THEN 5 ELSE 15 END * interval '1 second'`,
      [at],
    );
    const to = new Date(at.getTime() + 20_000);
    const query = { environment: 'QA', from: at, to, stepSeconds: null, module: null } as const;
    const [point, ...more] = await world.metrics.read(query);
    expect(more).toEqual([]);
    expect(point!.at).toEqual(to);
    expect(point!.traffic.map(({ nodeId, version, requests }) => [nodeId, version, requests])).toEqual([
      ['a', '1.0.0', 150],
      ['a', '2.0.0', 5],
      ['b', '1.0.0', 1],
    ]);
    const [sum] = point!.traffic;
    expect(sum).toMatchObject({
      module: moduleName,
      failures: 10,
      inFlight: 7,
      cpuSeconds: 1,
      rssBytes: 50_000_000,
      eventLoopDelaySeconds: 0.002,
    });
    expect(sum!.latencySumSeconds).toBeCloseTo(0.15);
    expect(sum!.latency[10]).toBe(140);
    expect(sum!.latency[125]).toBe(10);
    expect(latencyQuantileSeconds(sum!.latency, 0.5)).toBeCloseTo(0.0005 * 1.1 ** 10);

    const steps = await world.metrics.read({ ...query, stepSeconds: 10 });
    expect(steps.map(({ at: end, traffic }) => [end.getTime() - at.getTime(), traffic.length])).toEqual([
      [10_000, 3],
      [20_000, 1],
    ]);
    expect(await world.metrics.read({ ...query, module: 'other' })).toEqual([{ at: to, traffic: [] }]);
    await expect(world.metrics.read({ ...query, stepSeconds: 0.001 })).rejects.toThrow(RangeError);
  });
});

describe('counts that come late', () => {
  it('are those of the time when they were made', async () => {
    await world.publish('1.0.0');
    await world.join('a', 'QA');
    const traffic = (requests: number) => [sample(releaseOf('1.0.0'), requests, 0)];
    await world.nodes.report('a', report('a-boot', 1, { traffic: traffic(1000), ageSeconds: 90 }));
    await world.nodes.report('a', report('a-boot', 2, { traffic: traffic(100), ageSeconds: 30 }));
    await world.nodes.report('a', report('a-boot', 3, { traffic: traffic(10), ageSeconds: 0.2 }));
    await world.nodes.report('a', report('a-boot', 4, { traffic: traffic(1) }));
    const to = await world.metrics.now();
    const requests = async (seconds: number) => {
      const from = new Date(to.getTime() - seconds * 1000);
      const [point] = await world.metrics.read({ environment: 'QA', from, to, stepSeconds: null, module: null });
      return point!.traffic[0]!.requests;
    };
    expect([await requests(20), await requests(60), await requests(120)]).toEqual([11, 111, 1111]);
  });
});

describe('the clock', () => {
  const gaps = () =>
    world.rows<{ seconds: number }>(
      'SELECT extract(epoch FROM to_at - from_at)::float8 AS seconds FROM hotswap.listening_gap',
    );

  it('records a silence of the control plane once, however many come back at once', async () => {
    await world.clock.beat();
    await world.clock.beat();
    expect(await gaps()).toEqual([]);
    await world.rows(`UPDATE hotswap.control_plane_beat SET at = now() - interval '20 seconds'`);
    await Promise.all(Array.from({ length: 5 }, () => world.clock.beat()));
    expect(await gaps()).toHaveLength(1);
    expect((await gaps())[0]!.seconds).toBeGreaterThanOrEqual(20);
    const { listening, now } = await world.clusters.load('QA');
    expect(listening.beatAt).toBeGreaterThanOrEqual(listening.gaps[0]!.to);
    expect(now).toBeGreaterThanOrEqual(listening.beatAt);
  });

  it('takes the start of a process for the end of a gap, unless another one beats', async () => {
    await world.keepBeating();
    const another = new PostgresControlPlaneClock(world.dataSource);
    await another.beat();
    expect(await gaps()).toEqual([]);
    // Just beyond the 2 s of a process that starts, and far from the 5 s of one that has beaten: it may be a while until it beats here.
    const beatALittleAgo = `UPDATE hotswap.control_plane_beat SET at = now() - interval '2.1 seconds'`;
    await world.rows(beatALittleAgo);
    await another.beat();
    expect(await gaps()).toEqual([]);
    await world.rows(beatALittleAgo);
    await new PostgresControlPlaneClock(world.dataSource).beat();
    expect(await gaps()).toHaveLength(1);
  });

  it('prunes what is past its time and nothing else', async () => {
    await world.publish('1.0.0');
    await world.join('a', 'QA');
    for (const sequence of [1, 2]) {
      await world.nodes.report('a', report('a-boot', sequence, { traffic: [sample(releaseOf('1.0.0'), 1, 0)] }));
    }
    await world.rows(`UPDATE hotswap.traffic_sample SET at = now() - interval '61 minutes' WHERE sequence = 1`);
    await world.rows(`INSERT INTO hotswap.listening_gap VALUES
      (now() - interval '3 days', now() - interval '2 days'), (now() - interval '2 hours', now() - interval '1 hour')`);
    await world.rows(`INSERT INTO hotswap.environment_release (environment, module, revision) VALUES ('QA', $1, 1)`, [
      moduleName,
    ]);
    await world.clusters.assign(await world.clusters.load('QA'), [
      { nodeId: 'a', module: moduleName, plan: planOf(releaseOf('1.0.0')) },
    ]);
    await world.rows(`UPDATE hotswap.node_document SET created_at = now() - interval '2 hours'`);
    await world.clock.prune();
    expect(await world.rows('SELECT sequence::integer FROM hotswap.traffic_sample')).toEqual([{ sequence: 2 }]);
    expect(await gaps()).toHaveLength(1);
    expect(await world.rows('SELECT revision FROM hotswap.node_document')).toEqual([{ revision: 2 }]);
  });
});
