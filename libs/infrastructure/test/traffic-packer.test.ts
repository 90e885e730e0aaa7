import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { beginAnalysis, standardParameters, type AnalysisMemory } from '@hotswap/domain';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { PostgresTrafficPacker } from '../src/metrics/postgres-traffic-packer.js';
import { TestPostgres } from './postgres.js';
import { decision, releaseOf, report, sample, startDeploy, World } from './world.js';

let postgres: TestPostgres;
let world: World;
let packer: PostgresTrafficPacker;
let dataSource: DataSource;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  dataSource = await postgres.open(await postgres.clone());
  world = new World(dataSource);
  packer = new PostgresTrafficPacker(dataSource);
});

const one = releaseOf('1.0.0');
const two = releaseOf('2.0.0');

/** A deployment of 2.0.0 that owns Development, where 1.0.0 runs; two nodes. */
async function rolloutUnderWay(): Promise<string> {
  await world.publish('1.0.0');
  await world.publish('2.0.0');
  for (const id of ['a', 'b']) await world.join(id, 'Development');
  await world.succeedInDevelopment('1.0.0');
  const id = await world.deploy('2.0.0', 'Development');
  await world.step(id, (view) => ({
    kind: 'complete-stage',
    status: 'Running',
    stages: [{ stageId: view.stages[0]!.id, status: 'Succeeded' }],
  }));
  await world.step(id, (view) => {
    const started = startDeploy(view);
    return { ...started, stages: started.stages!.map((stage) => ({ ...stage, strategy: 'Canary' as const })) };
  });
  return id;
}

async function tell(nodeId: string, sequence: number, requests: number) {
  const traffic = [
    { ...sample(one, requests, 0), role: 'active' as const },
    { ...sample(one, 3, 1), role: 'twin' as const },
    { ...sample(two, 4, 2), role: 'candidate' as const },
  ];
  return world.nodes.report(nodeId, report(`${nodeId}-boot`, sequence, { traffic }));
}

const blocks = () =>
  world.rows<{ role: string; requests: number; failures: number; nodes: unknown[][] }>(
    'SELECT role, requests::float8, failures::float8, nodes FROM hotswap.traffic_block ORDER BY at, role',
  );

/**
 * Blocks wait for transactions that began before them, also for those of other tests on this server: these have to be over. Nothing grows old
 * meanwhile, since what is older than 5 s is no evidence any more.
 */
async function pack(): Promise<void> {
  const [{ last }] = (await world.rows('SELECT pg_current_xact_id()::text AS last')) as [{ last: string }];
  const areOver = `SELECT pg_snapshot_xmin(pg_current_snapshot()) > '${last}'::xid8 AS over`;
  while (!((await world.rows(areOver)) as [{ over: boolean }])[0].over) await delay(5);
  for (const table of ['hotswap.traffic_sample', 'hotswap.probe_sample'])
    await world.rows(`UPDATE ${table} SET at = at + (now() - (SELECT max(at) FROM ${table}))`);
  await packer.pack();
}

describe('packing traffic', () => {
  it('closes one row per release, role and block while a rollout lives, and each report counts once', async () => {
    await rolloutUnderWay();
    await pack();
    await tell('a', 1, 10);
    await tell('b', 1, 20);
    expect(await tell('a', 1, 10)).toBe('repeated');
    await pack();
    const first = await blocks();
    expect(first.map(({ role, requests, failures }) => [role, requests, failures])).toEqual([
      ['active', 30, 0],
      ['candidate', 8, 4],
      ['twin', 6, 2],
    ]);
    expect(first[0]!.nodes.map(([id, requests]) => [id, requests])).toEqual([
      ['a', 10],
      ['b', 20],
    ]);
    await Promise.all([pack(), pack(), pack()]);
    expect(await blocks()).toHaveLength(3);
    await tell('b', 2, 5);
    await Promise.all([pack(), pack()]);
    expect((await blocks()).slice(3).map(({ role, requests }) => [role, requests])).toEqual([
      ['active', 5],
      ['candidate', 4],
      ['twin', 3],
    ]);
  });

  it('misses nothing that commits late: a block waits for transactions that began before it', async () => {
    await rolloutUnderWay();
    await pack();
    const slow = dataSource.createQueryRunner();
    await slow.startTransaction();
    await slow.query('SELECT pg_current_xact_id()');
    await slow.query(
      `INSERT INTO hotswap.traffic_sample (node_id, boot_id, sequence, environment, module, release, version, at, interval_seconds,
         requests, failures, latency_buckets, latency_counts, latency_sum_seconds, in_flight)
       VALUES ('a', 'a-boot', 99, 'Development', $1, $2, '1.0.0', now(), 1, 7, 0, '{}', '{}', 0, 0)`,
      [one.module, one.digest],
    );
    await tell('b', 1, 20);
    await packer.pack();
    await slow.commitTransaction();
    await slow.release();
    await pack();
    const rows = await blocks();
    const active = rows.filter(({ role }) => role === 'active').reduce((sum, { requests }) => sum + requests, 0);
    expect(active).toBe(27);
  });

  it('takes what comes late for no evidence, and a node that starts again from its first number on', async () => {
    await rolloutUnderWay();
    await pack();
    const of = (requests: number) => ({ traffic: [{ ...sample(one, requests, 0), role: 'active' as const }] });
    await world.nodes.report('a', report('a-boot', 1, { ...of(100), ageSeconds: 8 }));
    await world.nodes.report('a', report('a-boot', 2, { ...of(10), ageSeconds: 1 }));
    await world.join('a', 'Development', 'second-boot');
    expect(await world.nodes.report('a', report('a-boot', 3, of(1000)))).toBe('fenced');
    expect(await world.nodes.report('a', report('second-boot', 1, of(4)))).toBe('accepted');
    expect(await world.nodes.report('a', report('second-boot', 1, of(4)))).toBe('repeated');
    await pack();
    await pack();
    expect((await blocks()).map(({ role, requests }) => [role, requests])).toEqual([['active', 14]]);
    expect(await world.rows('SELECT sum(requests)::integer AS sum FROM hotswap.traffic_sample')).toEqual([
      { sum: 114 },
    ]);
  });

  it('keeps probes apart from what users sent, and gives them to the analysis beside it', async () => {
    const id = await rolloutUnderWay();
    await pack();
    const view = await world.view(id);
    const stageId = view.stages.find(({ name }) => name === 'Deploy')!.id;
    const state = beginAnalysis(standardParameters);
    const memory: AnalysisMemory = { beganAt: view.now, parameters: standardParameters, state, standing: null };
    await world.rollouts.commit(view, decision(view, { stageId, analysis: { memory, entries: [] } }));
    const probes = [
      { ...sample(one, 30, 0), role: 'twin' as const },
      { ...sample(two, 40, 5), role: 'candidate' as const },
    ];
    const traffic = [
      { ...sample(one, 10, 0), role: 'active' as const },
      { ...sample(one, 1, 0), role: 'twin' as const },
      { ...sample(two, 2, 1), role: 'candidate' as const },
    ];
    const told = report('a-boot', 1, { traffic, probes });
    expect(await world.nodes.report('a', told)).toBe('accepted');
    expect(await world.nodes.report('a', told)).toBe('repeated');
    await world.nodes.report('b', report('b-boot', 1, { traffic }));
    await pack();
    const [block] = (await world.view(id)).environment!.analysis!.blocks;
    const counts = block!.nodes.map(({ id: node, arms }) => [
      node,
      Object.entries(arms)
        .map(([arm, { requests, errors }]) => [arm, requests, errors])
        .sort(),
    ]);
    expect(counts.sort()).toEqual([
      [
        'a',
        [
          ['C', 42, 6],
          ['T', 31, 0],
        ],
      ],
      [
        'b',
        [
          ['C', 2, 1],
          ['S', 10, 0],
          ['T', 1, 0],
        ],
      ],
    ]);
    expect(await world.rows('SELECT sum(requests)::integer AS users FROM hotswap.traffic_sample')).toEqual([
      { users: 26 },
    ]);
    await world.rows(`UPDATE hotswap.probe_sample SET at = at - interval '2 hours'`);
    await world.clock.prune();
    expect(await world.rows('SELECT FROM hotswap.probe_sample')).toEqual([]);
  });

  it('packs no blocks where no rollout lives, and minutes always', async () => {
    await world.publish('1.0.0');
    await world.join('a', 'QA');
    await world.nodes.report('a', report('a-boot', 1, { traffic: [sample(one, 10, 1)] }));
    await world.nodes.report('a', report('a-boot', 2, { traffic: [sample(one, 5, 0)] }));
    await pack();
    await world.rows(
      `UPDATE hotswap.traffic_sample SET at = date_trunc('minute', now()) - interval '40 minutes' + interval '3 seconds'`,
    );
    await world.rows(`UPDATE hotswap.traffic_pack SET minute_at = date_trunc('minute', now()) - interval '41 minutes'`);
    const until = async () => {
      const [{ due }] = (await world.rows<{ due: boolean }>(
        `SELECT minute_at < now() - interval '5 minutes' AS due FROM hotswap.traffic_pack`,
      )) as [{ due: boolean }];
      return due;
    };
    while (await until()) await packer.pack();
    expect(await blocks()).toEqual([]);
    const minutes = await world.rows<{ requests: number; failures: number; nodes: unknown[][] }>(
      'SELECT requests::float8, failures::float8, nodes FROM hotswap.traffic_minute',
    );
    expect(minutes).toMatchObject([{ requests: 15, failures: 1 }]);
    await world.rows('DELETE FROM hotswap.traffic_sample');
    const to = await world.metrics.now();
    const from = new Date(to.getTime() - 3_600_000);
    const [point] = await world.metrics.read({ environment: 'QA', from, to, stepSeconds: null, module: null });
    expect(point!.traffic).toMatchObject([{ nodeId: 'a', version: '1.0.0', requests: 15, failures: 1, cpuSeconds: 1 }]);
    expect(point!.traffic[0]!.latency[10]).toBe(14);
  });

  it('keeps partitions for the days around now, and drops those past their retention', async () => {
    const names = () =>
      world.rows<{ name: string }>(
        `SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relname LIKE 'traffic_block_%'`,
      );
    expect((await names()).length).toBeGreaterThanOrEqual(3);
    await world.rows(
      `CREATE TABLE hotswap.traffic_block_20200101 PARTITION OF hotswap.traffic_block FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')`,
    );
    await world.clock.prune();
    expect((await names()).map(({ name }) => name)).not.toContain('traffic_block_20200101');
  });

  it('makes a partition that is missing once, however many look at once', async () => {
    const partitions = () =>
      world.rows<{ name: string }>(
        `SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid AND relkind = 'r' ORDER BY name`,
      );
    await world.clock.prune();
    const before = await partitions();
    for (const { name } of before) await world.rows(`DROP TABLE hotswap.${name}`);
    await Promise.all(Array.from({ length: 5 }, () => world.clock.prune()));
    expect(await partitions()).toEqual(before);
  });
});

describe('the analysis of a stage', () => {
  it('is kept with the commit, goes on from there with the blocks since, and two looks at once write once', async () => {
    const id = await rolloutUnderWay();
    await pack();
    const view = await world.view(id);
    expect(view.environment!.analysis).toEqual({ revision: 0, memory: null, blocks: [] });
    const stageId = view.stages.find(({ name }) => name === 'Deploy')!.id;
    const memory: AnalysisMemory = {
      beganAt: view.now,
      parameters: standardParameters,
      state: beginAnalysis(standardParameters),
      standing: null,
    };
    const stage = { kind: 'stage' as const, at: 0, stage: 0, nodes: ['a', 'b'], weight: 0.1 };
    const change = { stageId, analysis: { memory, entries: [stage] } };
    expect(await world.rollouts.commit(view, decision(view, change))).toBe('committed');
    expect(await world.rollouts.commit(view, decision(view, change))).toBe('superseded');
    await tell('a', 1, 10);
    await pack();
    const next = (await world.view(id)).environment!.analysis!;
    expect(next.revision).toBe(1);
    expect(next.memory).toEqual(memory);
    expect(next.blocks).toHaveLength(1);
    const [node] = next.blocks[0]!.nodes;
    expect(node).toMatchObject({
      id: 'a',
      arms: {
        S: { requests: 10, errors: 0 },
        T: { requests: 3, errors: 1 },
        C: { requests: 4, errors: 2, cpuSeconds: 0.5 },
      },
    });
    const at = (next.blocks[0]!.at - memory.beganAt) / 1000;
    const later = await world.view(id);
    const taken = { ...memory, state: { ...memory.state, at } };
    await world.rollouts.commit(later, decision(later, { stageId, analysis: { memory: taken, entries: [] } }));
    expect((await world.view(id)).environment!.analysis!.blocks).toEqual([]);
    expect(await world.rows('SELECT entry FROM hotswap.stage_analysis_entry')).toEqual([{ entry: stage }]);
  });
});
