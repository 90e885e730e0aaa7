import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defaultPolicy, reason, type DeploymentView, type PipelineDecision } from '@hotswap/domain';
import { advanceDocuments, lockNodes } from '../src/clusters/write-assignments.js';
import { TestPostgres } from './postgres.js';
import {
  completeDeploy,
  decision,
  moduleName,
  planOf,
  releaseOf,
  report,
  sample,
  startDeploy,
  World,
} from './world.js';

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
  await world.clock.beat();
});

/** A deployment to Development whose Verify is done, with two nodes there. */
async function verified(version = '1.0.0'): Promise<string> {
  await world.join('a', 'Development');
  await world.join('b', 'Development');
  const id = await world.deploy(version, 'Development');
  await world.step(id, ({ stages }) => ({
    kind: 'complete-stage',
    because: reason('verified', 'Signatures are trusted'),
    status: 'Running',
    stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }],
  }));
  return id;
}

describe('looking', () => {
  it('takes the newest configuration for the target until the stage starts, and then what it started with', async () => {
    const id = await verified();
    const configure = (revision: number) =>
      world.rows('INSERT INTO hotswap.module_configuration VALUES ($1, $2, $3, $4)', [
        moduleName,
        'Development',
        revision,
        JSON.stringify({ limit: revision }),
      ]);
    await configure(1);
    const before = await world.step(id, startDeploy);
    expect(before.environment!.target).toMatchObject({ configurationRevision: 1, configuration: { limit: 1 } });
    expect(before.environment!.target.digest).not.toBe(releaseOf('1.0.0').digest);
    await configure(2);
    const during = await world.step(id, completeDeploy);
    expect(during.environment!.target).toEqual(before.environment!.target);
    const validating = await world.view(id);
    expect(validating.environment!.target).toEqual(before.environment!.target);
  });

  it('sums the traffic of the target, of the others, and of the minute before', async () => {
    const id = await verified('2.0.0');
    const stable = releaseOf('1.0.0');
    const target = releaseOf('2.0.0');
    await world.nodes.report('a', report('a-boot', 1, { traffic: [sample(stable, 100, 4)] }));
    await world.rows(`UPDATE hotswap.traffic_sample SET at = now() - interval '30 seconds'`);
    await world.nodes.report('a', report('a-boot', 2, { traffic: [sample(stable, 1000, 0)] }));
    await world.rows(`UPDATE hotswap.traffic_sample SET at = now() - interval '61 seconds' WHERE sequence = 2`);
    await world.step(id, startDeploy);
    await world.nodes.report('a', report('a-boot', 3, { traffic: [sample(stable, 10, 1), sample(target, 20, 2)] }));
    await world.nodes.report('b', report('b-boot', 3, { traffic: [sample(target, 5, 5)] }));
    const { environment } = await world.view(id);
    expect(environment!.traffic).toEqual({
      target: { requests: 25, failures: 7 },
      stable: { requests: 10, failures: 1 },
      before: { requests: 100, failures: 4 },
    });
  });
});

describe('committing', () => {
  it('writes nothing when the record has moved since the look', async () => {
    const id = await verified();
    const view = await world.view(id);
    await world.rows(
      `INSERT INTO hotswap.environment_release (environment, module, revision) VALUES ('Development', $1, 1)`,
      [moduleName],
    );
    expect(await world.rollouts.commit(view, decision(view, startDeploy(view)))).toBe('superseded');
    expect(await world.rows('SELECT release, owner_stage_id, revision FROM hotswap.environment_release')).toEqual([
      { release: null, owner_stage_id: null, revision: 1 },
    ]);
    expect(await world.rows('SELECT FROM hotswap.node_document WHERE revision > 1')).toEqual([]);
    expect(await world.rows(`SELECT FROM hotswap.decision WHERE because ->> 'code' = 'started'`)).toEqual([]);
    await world.step(id, startDeploy);
  });

  it('keeps a wait once, with the newest reason of its stage', async () => {
    const id = await verified();
    const wait = (view: DeploymentView, count: number): Partial<PipelineDecision> => ({
      because: reason('waiting', `It waits for the ${count}th time`, { count }),
      stageId: view.stages[1]!.id,
      stages: [{ stageId: view.stages[1]!.id, status: 'Pending', reason: reason('waiting', `${count}`) }],
    });
    await world.step(id, (view) => wait(view, 1));
    await world.step(id, (view) => wait(view, 2));
    expect((await world.view(id)).stages[1]!.reason?.message).toBe('2');
    expect(await world.rows(`SELECT FROM hotswap.decision WHERE kind = 'hold'`)).toHaveLength(1);
  });

  it('tells the nodes that nothing holds the module any more, even one that is being told just now that something does', async () => {
    const id = await verified();
    await world.step(id, startDeploy);
    await world.step(id, () => ({ assign: [{ nodeId: 'a', plan: planOf(releaseOf('1.0.0')) }] }));
    await world.step(id, completeDeploy);
    const warmSeconds = async () => (await world.nodes.document('a'))!.modules[0]!.policy.warmSeconds;
    const held = await warmSeconds();
    expect(held).toBeGreaterThan(defaultPolicy('Development').warmSeconds);

    // The environment's time, as a document from before the stage told it.
    await world.rows(
      `UPDATE hotswap.node_document SET document = jsonb_set(document, '{modules,0,policy,warmSeconds}', $1::jsonb)
         WHERE node_id = 'a' AND revision = 2`,
      [String(defaultPolicy('Development').warmSeconds)],
    );
    let over: Promise<unknown> = Promise.resolve();
    try {
      await world.dataSource.transaction(async (manager) => {
        await lockNodes(manager, ['a']);
        await advanceDocuments(manager, ['a']);
        let isOver = false;
        const end = world.step(id, ({ stages }) => ({
          kind: 'finish',
          status: 'Succeeded',
          stages: [{ stageId: stages[2]!.id, status: 'Succeeded' }],
        }));
        over = end.finally(() => (isOver = true));
        const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        while (!isOver && (await world.rows(waits)).length === 0) await delay(5);
      });
    } finally {
      await over;
    }
    expect(await warmSeconds()).toBe(defaultPolicy('Development').warmSeconds);
  });

  it('gives each touched node its next document, and the others none', async () => {
    const id = await verified();
    await world.step(id, (view) => ({
      ...startDeploy(view),
      assign: [{ nodeId: 'a', plan: planOf(releaseOf('1.0.0'), releaseOf('2.0.0'), 12.5) }],
    }));
    const { drainSeconds } = defaultPolicy('Development');
    expect(await world.nodes.document('a')).toEqual({
      epoch: 1,
      revision: 2,
      modules: [
        {
          module: moduleName,
          ...planOf(releaseOf('1.0.0'), releaseOf('2.0.0'), 12.5),
          policy: { warmSeconds: expect.any(Number), drainSeconds },
          // Of the decision, in the deployment's trace.
          traceparent: expect.stringMatching(
            /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/,
          ),
        },
      ],
    });
    expect(await world.nodes.document('b')).toEqual({ epoch: 1, revision: 1, modules: [] });
    await world.step(id, () => ({ kind: 'roll-back', assign: [{ nodeId: 'a', plan: planOf(null) }] }));
    expect(await world.nodes.document('a')).toMatchObject({ revision: 3, modules: [{ active: null }] });
    expect(await world.nodes.documentRevisions(['a', 'b', 'z'])).toEqual(
      new Map([
        ['a', { epoch: 1, revision: 3 }],
        ['b', { epoch: 1, revision: 1 }],
      ]),
    );
  });

  it('tells its story from any event on, and that it is over', async () => {
    const id = await world.succeedInDevelopment('1.0.0');
    const [, second] = (await world.deployments.events(id, { limit: 200, cursor: null }))!.items;
    const later = (await world.deployments.eventsAfter(id, second!.id, 2))!;
    expect([later.events.map(({ type }) => type), later.isOver]).toEqual([['stage-started', 'step-advanced'], false]);
    const last = (await world.deployments.eventsAfter(id, later.events[1]!.id, 200))!;
    expect([last.events.map(({ type }) => type), last.isOver]).toEqual([
      ['stage-succeeded', 'stage-succeeded', 'succeeded'],
      true,
    ]);
    const page = await world.deployments.events(id, { limit: 4, cursor: null });
    const next = await world.deployments.events(id, { limit: 200, cursor: page!.nextCursor });
    expect([...page!.items, ...next!.items].at(-3)).toEqual(last.events[0]);
  });

  it('counts nodes while a stage runs, and keeps the counts of its end', async () => {
    const id = await verified();
    const { stages } = await world.step(id, startDeploy);
    const observe = (nodeId: string, sequence: number, active: string | null) =>
      world.nodes.report(
        nodeId,
        report(`${nodeId}-boot`, sequence, {
          state: 'Starting',
          modules: [
            {
              module: moduleName,
              active,
              candidate: null,
              candidatePercent: 0,
              servingFallback: false,
              instances: active
                ? [
                    {
                      release: active,
                      version: '1',
                      state: 'Active',
                      error: null,
                      failureKind: null,
                      crashes: 0,
                      pid: 1,
                    },
                  ]
                : [],
            },
          ],
        }),
      );
    await observe('a', 1, releaseOf('1.0.0').digest);
    const counts = async () => (await world.deployments.find(id))!.nodes[stages[1]!.id];
    expect(await counts()).toEqual({ total: 2, updated: 1, ready: 1, failed: 0 });
    await observe('b', 1, releaseOf('1.0.0').digest);
    await world.step(id, completeDeploy);
    await observe('b', 2, null);
    expect(await counts()).toEqual({ total: 2, updated: 2, ready: 2, failed: 0 });
  });
});

describe('evidence', () => {
  async function requested(): Promise<{ id: string; stageId: string }> {
    const id = await world.deploy('1.0.0', 'QA');
    const { stages } = await world.step(id, (view) => ({
      kind: 'gather',
      status: 'Running',
      recheckAt: view.now + 3_600_000,
      stages: [{ stageId: view.stages[0]!.id, status: 'Running' }],
      evidence: [{ stageId: view.stages[0]!.id, kind: 'signature', subject: 'sha256:x', deadlineSeconds: 30 }],
    }));
    return { id, stageId: stages[0]!.id };
  }

  it('may be an answer from outside that is neither good nor bad', async () => {
    const { id, stageId } = await requested();
    await world.step(id, () => ({
      kind: 'gather',
      status: 'Running',
      evidence: [{ stageId, kind: 'check', subject: 'errors/1@0/0', deadlineSeconds: 30 }],
    }));
    const key = { stageId, kind: 'check', subject: 'errors/1@0/0' } as const;
    await world.evidence.answer(key, { status: 'Unknown', message: 'no data', data: {} });
    expect((await world.view(id)).evidence).toContainEqual(
      expect.objectContaining({ ...key, status: 'Unknown', message: 'no data' }),
    );
  });

  it('has its deadline put off by the time in which nobody listened', async () => {
    const { id, stageId } = await requested();
    const shift = (table: string, columns: string[]) =>
      world.rows(
        `UPDATE ${table} SET ${columns.map((name) => `${name} = ${name} - interval '10 minutes'`).join(', ')}`,
      );
    await shift('hotswap.control_plane_beat', ['at']);
    await shift('hotswap.evidence', ['requested_at', 'deadline_at']);
    const before = await world.view(id);
    expect(before.evidence[0]!.deadlineAt).toBe(before.now);
    await world.clock.beat();
    await world.clock.beat();
    const { evidence } = await world.view(id);
    expect(evidence[0]!.deadlineAt - evidence[0]!.requestedAt).toBeGreaterThanOrEqual(630_000);
    expect(evidence[0]!.deadlineAt - evidence[0]!.requestedAt).toBeLessThan(900_000);
    expect(await world.evidence.claimRequested(5, 60)).toMatchObject([{ stageId }]);
  });
});
