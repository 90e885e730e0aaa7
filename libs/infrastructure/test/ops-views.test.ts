import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { reason } from '@hotswap/domain';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestPostgres } from './postgres.js';
import { completeDeploy, releaseOf, report, sample, startDeploy, World } from './world.js';

const columns = {
  deployments:
    'id module version environment status stage stage_environment stage_status strategy step steps target_percent reason_code reason requester created_at started_at finished_at seconds',
  running_modules: 'environment module version previous_version since release deployment_id',
  clusters:
    'environment strategy status nodes healthy_nodes lost_nodes rollouts requests_last_minute failures_last_minute',
  nodes:
    'id environment state is_healthy modules failed_modules silent_seconds last_heartbeat_at control_plane_beat_at reported_state hostname address zone pid boot_id kernel_version joined_at',
  node_history: 'node_id environment state at until_at seconds silent_since boot_id',
  rollbacks:
    'deployment_id module environment version back_to_version status reason_code reason began_at finished_at seconds exposed_seconds exposed_requests exposed_failures',
  broken_freezes: 'at deployment_id module version environment freezes frozen_until broken_by reason requester status',
  decisions: 'id at deployment_id module version stage environment kind rule message numbers changes revisions',
};

const page = readFileSync(join(import.meta.dirname, '../../../docs/ops.md'), 'utf8');
/** `[question, SQL]`: the first sentence of the line before. */
const queries = [...page.matchAll(/^(.+?\?)(?: .*)?\n\n```sql\n([^]*?)```$/gm)].map(
  ([, title, sql]) => [title!, sql!] as const,
);

let postgres: TestPostgres;
let database: string;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  database = await postgres.clone();
  world = new World(await postgres.open(database));
  await world.publish('1.0.0');
  await world.publish('2.0.0');
});

const rowsOf = (view: string, rest = '') => world.rows<Record<string, unknown>>(`SELECT * FROM ops.${view} ${rest}`);

/** Its node runs the release, and answered some requests. */
async function runs(version: string, sequence: number, failures = 0): Promise<void> {
  const release = releaseOf(version);
  const instances = [
    { release: release.digest, version, state: 'Active', error: null, failureKind: null, crashes: 0, pid: 1 },
  ];
  const seen = { module: release.module, active: release.digest, candidate: null, candidatePercent: 0 };
  const modules = [{ ...seen, servingFallback: false, instances }] as never;
  const traffic = [sample(release, 100, failures)];
  expect(await world.nodes.report('a', report('a-boot', sequence, { modules, traffic }))).toBe('accepted');
}

/** Development runs 1.0.0 and is taking 2.0.0 back, which came although it was frozen. */
async function takeBack(): Promise<{ first: string; second: string }> {
  await world.keepBeating();
  await world.join('a', 'Development');
  const first = await world.succeedInDevelopment('1.0.0');
  await runs('1.0.0', 1);
  const breakGlass = { reason: 'INC-1', byEmail: 'on-call@example.com' };
  const second = await world.deploy('2.0.0', 'Development', { breakGlass });
  await world.step(second, (view) => ({
    status: 'Running',
    stages: [{ stageId: view.stages[0]!.id, status: 'Succeeded' }],
  }));
  const frozen = { freezes: ['weekend', 'audit'], untilAt: '2030-01-07T07:00:00.000Z' };
  await world.step(second, (view) => ({
    ...startDeploy(view),
    because: reason('started', 'All nodes get the target', { breakGlass, frozen }),
  }));
  await runs('2.0.0', 2, 40);
  await world.step(second, (view) => ({
    kind: 'roll-back',
    because: reason('error-rate', '40 of 100 requests failed', { failures: 40 }),
    stageId: view.stages[1]!.id,
    status: 'RollingBack',
    rollbackReason: reason('error-rate', '40 of 100 requests failed', { failures: 40 }),
    stages: [{ stageId: view.stages[1]!.id, status: 'RollingBack' }],
  }));
  return { first, second };
}

describe('the ops views', () => {
  it('are these, with these columns, each with a comment', async () => {
    const documented = await world.rows<{ view: string; column: string; comment: string | null; about: string | null }>(
      `SELECT relname AS view, attname AS column, col_description(pg_class.oid, attnum) AS comment, obj_description(pg_class.oid) AS about
       FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
       WHERE relnamespace = 'ops'::regnamespace ORDER BY relname, attnum`,
    );
    const byView = Map.groupBy(documented, ({ view }) => view);
    const found = [...byView].map(([view, own]) => [view, own.map(({ column }) => column).join(' ')]);
    expect(Object.fromEntries(found)).toEqual(columns);
    expect(documented.filter(({ comment, about }) => !comment || !about)).toEqual([]);
  });

  it('do not show a node as healthy that still has something of a module that was taken off', async () => {
    await world.keepBeating();
    await world.join('a', 'Development');
    await world.succeedInDevelopment('1.0.0');
    await runs('1.0.0', 1);
    expect(await world.clusters.removeModule('Development', releaseOf('1.0.0').module)).toMatchObject({
      kind: 'removed',
    });
    expect(await rowsOf('nodes')).toMatchObject([{ id: 'a', is_healthy: false }]);
    expect(await rowsOf('clusters', "WHERE environment = 'Development'")).toMatchObject([{ status: 'Progressing' }]);
    await world.nodes.report('a', report('a-boot', 2));
    expect(await rowsOf('nodes')).toMatchObject([{ id: 'a', is_healthy: true }]);
    expect(await rowsOf('clusters', "WHERE environment = 'Development'")).toMatchObject([{ status: 'Healthy' }]);
  });

  it('show who broke the glass of a frozen environment', async () => {
    const { second } = await takeBack();
    expect(await rowsOf('broken_freezes')).toMatchObject([
      {
        deployment_id: second,
        version: '2.0.0',
        environment: 'Development',
        freezes: ['weekend', 'audit'],
        frozen_until: new Date('2030-01-07T07:00:00.000Z'),
        broken_by: 'on-call@example.com',
        reason: 'INC-1',
        requester: 'user@example.com',
      },
    ]);
  });

  it('show a deployment with the stage in hand, and its decisions', async () => {
    const { first, second } = await takeBack();
    expect(await rowsOf('deployments', 'ORDER BY created_at')).toMatchObject([
      { id: first, version: '1.0.0', status: 'Succeeded', stage: null, finished_at: expect.any(Date) },
      {
        id: second,
        module: 'payment-processor',
        version: '2.0.0',
        environment: 'Development',
        status: 'RollingBack',
        stage: 'Deploy',
        stage_environment: 'Development',
        stage_status: 'RollingBack',
        strategy: 'Direct',
        step: 1,
        steps: 1,
        target_percent: 100,
        reason_code: 'error-rate',
        requester: 'user@example.com',
        finished_at: null,
      },
    ]);
    expect(await rowsOf('decisions', `WHERE deployment_id = '${second}' ORDER BY id DESC LIMIT 1`)).toMatchObject([
      { kind: 'roll-back', rule: 'error-rate', stage: 'Deploy', numbers: { failures: 40 }, environment: 'Development' },
    ]);
  });

  it('show what runs where, and what is being taken back until it is', async () => {
    const { second } = await takeBack();
    const [moving] = await rowsOf('running_modules');
    expect(moving).toMatchObject({ environment: 'Development', version: '1.0.0', deployment_id: second });
    expect(await rowsOf('rollbacks')).toMatchObject([
      {
        deployment_id: second,
        version: '2.0.0',
        back_to_version: '1.0.0',
        status: 'RollingBack',
        reason_code: 'error-rate',
        began_at: expect.any(Date),
        finished_at: null,
      },
    ]);
    expect(await rowsOf('clusters', `WHERE environment = 'Development'`)).toMatchObject([
      { status: 'Progressing', rollouts: '1', requests_last_minute: '200', failures_last_minute: '40' },
    ]);
    await world.step(second, (view) => ({
      ...completeDeploy(view),
      status: 'RollingBack',
      stages: [{ stageId: view.stages[1]!.id, status: 'RolledBack' }],
      slot: { ownerStageId: null, release: view.environment!.record.release, previous: null },
    }));
    const [back] = await rowsOf('rollbacks');
    expect(back).toMatchObject({ status: 'RolledBack', finished_at: expect.any(Date) });
    const [settled] = await rowsOf('running_modules');
    expect(settled).toMatchObject({ version: '1.0.0', since: back!['finished_at'], deployment_id: null });
  });

  it('judge clusters by their nodes as the API does', async () => {
    await world.keepBeating();
    const shown = async () => {
      const [row] = await rowsOf('clusters', `WHERE environment = 'Development'`);
      expect(row!['status']).toBe((await world.clusters.load('Development')).status);
      return [row!['status'], row!['healthy_nodes'], row!['lost_nodes']];
    };
    expect(await shown()).toEqual(['Empty', '0', '0']);
    await world.join('a', 'Development');
    await world.succeedInDevelopment('1.0.0');
    expect(await shown()).toEqual(['Progressing', '0', '0']);
    await runs('1.0.0', 1);
    expect(await shown()).toEqual(['Healthy', '1', '0']);
    expect(await rowsOf('nodes')).toMatchObject([
      { id: 'a', state: 'Ready', is_healthy: true, modules: ['payment-processor@1.0.0'], failed_modules: [] },
    ]);
    await world.rows(`UPDATE hotswap.control_plane_beat SET at = now() - interval '6 seconds'`);
    expect(await shown()).toEqual(['Progressing', '0', '0']);
    await world.keepBeating();
    expect(await shown()).toEqual(['Progressing', '0', '0']);
    await runs('1.0.0', 2);
    expect(await shown()).toEqual(['Healthy', '1', '0']);
    await world.rows('DELETE FROM hotswap.listening_gap');
    await world.rows(`UPDATE hotswap.node SET last_heartbeat_at = now() - interval '20 seconds'`);
    expect(await shown()).toEqual(['Degraded', '0', '1']);
  });

  it('call a node lost after 15 s of silence that someone listened to, and keep that it was', async () => {
    await world.keepBeating();
    await world.join('a', 'Development');
    await world.nodes.report('a', report('a-boot', 1));
    await world.nodes.report('a', report('a-boot', 2));
    const state = async () => (await rowsOf('nodes'))[0]!['state'];
    await world.rows(`UPDATE hotswap.node SET last_heartbeat_at = now() - interval '100 seconds'`);
    expect(await state()).toBe('Lost');
    await world.rows(`UPDATE hotswap.control_plane_beat SET at = now() - interval '6 seconds'`);
    expect(await state()).toBe('Ready');
    await world.keepBeating();
    await world.rows('DELETE FROM hotswap.listening_gap');
    const gap = (to: number) =>
      world.rows(
        `INSERT INTO hotswap.listening_gap SELECT now() - interval '95 seconds', now() - $1 * interval '1 second'`,
        [to],
      );
    await gap(10);
    expect(await state()).toBe('Ready');
    await world.rows('DELETE FROM hotswap.listening_gap');
    await gap(30);
    expect(await state()).toBe('Lost');
    await world.nodes.report('a', report('a-boot', 3, { state: 'LameDuck' }));
    await world.join('a', 'Development', 'next-boot');
    const history = await rowsOf('node_history', 'ORDER BY at, until_at NULLS LAST');
    expect(
      history.map(({ state, boot_id, silent_since, until_at }) => [state, boot_id, !!silent_since, !!until_at]),
    ).toEqual([
      ['Starting', 'a-boot', false, true],
      ['Ready', 'a-boot', false, true],
      ['LameDuck', 'a-boot', true, true],
      ['Starting', 'next-boot', false, false],
    ]);
  });

  it('are all that a role for people can read', async () => {
    await takeBack();
    const role = `oncall_${database}`;
    await world.rows(`CREATE ROLE ${role}`);
    await world.rows(`GRANT USAGE ON SCHEMA ops TO ${role}`);
    await world.rows(`GRANT SELECT ON ALL TABLES IN SCHEMA ops TO ${role}`);
    const as = async (sql: string) => {
      const runner = world.dataSource.createQueryRunner();
      try {
        await runner.query(`SET ROLE ${role}`);
        return (await runner.query(sql)) as unknown[];
      } finally {
        await runner.query('RESET ROLE');
        await runner.release();
      }
    };
    for (const view of Object.keys(columns))
      expect([view, (await as(`SELECT * FROM ops.${view}`)).length]).not.toEqual([view, 0]);
    await expect(as('SELECT * FROM hotswap.node')).rejects.toThrow('permission denied');
    await expect(as(`UPDATE ops.decisions SET kind = 'hold'`)).rejects.toThrow();
  });
});

/** Development runs 1.0.0 again: 2.0.0 came, and was taken back. Its node was lost for a while and started anew since; QA's never came back. */
async function eventfulDay(): Promise<void> {
  const { second } = await takeBack();
  await world.step(second, (view) => ({
    ...completeDeploy(view),
    status: 'RolledBack',
    stages: [
      { stageId: view.stages[1]!.id, status: 'RolledBack' },
      { stageId: view.stages[2]!.id, status: 'Skipped' },
    ],
    slot: { ownerStageId: null, release: view.environment!.record.release, previous: null },
  }));
  await world.deploy('2.0.0', 'QA');
  await world.rows(`UPDATE hotswap.node SET last_heartbeat_at = now() - interval '20 seconds'`);
  await world.join('a', 'Development', 'next-boot');
  await world.join('lost', 'QA');
  await world.rows(`UPDATE hotswap.node SET last_heartbeat_at = now() - interval '20 seconds' WHERE id = 'lost'`);
}

/** What each query answers after that day: one object per row, or per row that is looked at. */
const answers: Record<string, object[]> = {
  'What is under way, and what is it waiting for?': [
    {
      module: 'payment-processor',
      version: '2.0.0',
      status: 'Pending',
      stage: 'Verify',
      stage_environment: null,
      step: null,
      reason: expect.any(String),
    },
  ],
  'What runs where, and since when?': [
    {
      environment: 'Development',
      version: '1.0.0',
      previous_version: null,
      since: expect.any(Date),
      is_moving: false,
    },
  ],
  'Is everything all right?': [
    { environment: 'Development', status: 'Progressing', nodes: '1', lost_nodes: '0', failed_percent: '20.00' },
    { environment: 'Production', status: 'Empty', nodes: '0', failed_percent: null },
    { environment: 'QA', status: 'Degraded', nodes: '1', lost_nodes: '1' },
    { environment: 'Staging', status: 'Empty' },
  ],
  'Which nodes need someone, and what is wrong with them?': [
    { id: 'a', state: 'Starting', failed_modules: [], pid: 4711 },
    { id: 'lost', environment: 'QA', state: 'Lost', silent_seconds: expect.stringMatching(/^2\d/) },
  ],
  'Does the control plane itself live?': [{ beat_at: expect.any(Date), silent_for: expect.anything() }],
  'Which nodes were restarted or lost most often in the last day?': [
    { node_id: 'a', environment: 'Development', boots: '2', times_lost: '1' },
  ],
  'What was taken back lately, why, how long did it take, and what did users meet of it?': [
    {
      environment: 'Development',
      version: '2.0.0',
      back_to_version: '1.0.0',
      reason: '40 of 100 requests failed',
      exposed_seconds: expect.any(String),
      exposed_requests: '100',
      exposed_failures: '40',
    },
  ],
  'How often does each rule take something back?': [
    { reason_code: 'error-rate', module: 'payment-processor', times: '1', mean_seconds: expect.stringMatching(/^\d/) },
  ],
  'How did the newest finished deployment come to where it is?': [
    { stage: null },
    { stage: 'Deploy', environment: 'Development', kind: 'advance', rule: 'started' },
    { kind: 'roll-back', rule: 'error-rate', message: '40 of 100 requests failed', numbers: { failures: 40 } },
    { kind: 'complete-stage', rule: 'deployed' },
  ],
  'How long do deployments take to succeed?': [
    { module: 'payment-processor', environment: 'Development', deployments: '1', median_seconds: expect.any(Number) },
  ],
  'Who broke the glass lately, where, and why?': [
    { environment: 'Development', version: '2.0.0', broken_by: 'on-call@example.com', reason: 'INC-1' },
  ],
};

describe('the queries of docs/ops.md', () => {
  it('are those whose answers are known here', () =>
    expect(queries.map(([title]) => title)).toEqual(Object.keys(answers)));

  it('use every view', () => {
    for (const view of Object.keys(columns)) expect(queries.some(([, sql]) => sql.includes(`ops.${view}`))).toBe(true);
  });

  it('answer what has happened', async () => {
    await eventfulDay();
    for (const [title, sql] of queries) {
      const rows = await world.rows(sql);
      expect({ title, rows }).toMatchObject({ title, rows: answers[title] });
    }
  });
});
