import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defaultPolicy, reason, type DeploymentView, type PipelineDecision } from '@hotswap/domain';
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

const eventTypes = async (id: string) =>
  (await world.deployments.events(id, { limit: 200, cursor: null }))!.items.map(({ type }) => type);

describe('claiming', () => {
  it('gives no deployment to two claimers, and each to one', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 12; index++) {
      await world.publish('1.0.0', `module-${index}`);
      ids.push(await world.deploy('1.0.0', 'QA', { module: `module-${index}` }));
    }
    const claims = await Promise.all(Array.from({ length: 6 }, () => world.rollouts.claimDue(3, 60)));
    const claimed = claims.flat();
    expect(new Set(claimed).size).toBe(claimed.length);
    claimed.push(...(await world.rollouts.claimDue(100, 60)));
    expect(claimed.sort()).toEqual(ids.sort());
    expect(await world.rollouts.claimDue(100, 60)).toEqual([]);
  });

  it('gives it again when the lease has ended, or when it was committed and is due', async () => {
    const id = await world.deploy('1.0.0', 'QA');
    expect(await world.rollouts.claimDue(1, -1)).toEqual([id]);
    expect(await world.rollouts.claimDue(1, 60)).toEqual([id]);
    await world.step(id, ({ now }) => ({ recheckAt: now }));
    expect(await world.rollouts.claimDue(1, 60)).toEqual([id]);
    await world.step(id, ({ now }) => ({ recheckAt: now + 3_600_000 }));
    expect(await world.rollouts.claimDue(1, 60)).toEqual([]);
    await world.step(id, () => ({ recheckAt: null }));
    expect(await world.rollouts.claimDue(1, 60)).toEqual([]);
  });
});

describe('looking', () => {
  it('shows Verify without an environment', async () => {
    const view = await world.view(await world.deploy('1.0.0', 'Production'));
    expect(view.environment).toBeNull();
    expect(view.revisions).toEqual({ policy: 0, membership: 0, record: 0 });
    expect(view.stages).toHaveLength(6);
    expect(view.now).toBeGreaterThanOrEqual(view.deployment.createdAt);
  });

  it('shows the environment of the stage in hand: its nodes, policy, record and target', async () => {
    const id = await verified();
    const { environment, revisions } = await world.view(id);
    expect(environment!.cluster.nodes.map((node) => node.id)).toEqual(['a', 'b']);
    expect(environment!.policy).toEqual(defaultPolicy('Development'));
    expect(environment!.record).toEqual({
      environment: 'Development',
      module: moduleName,
      release: null,
      previous: null,
      ownerStageId: null,
      revision: 0,
    });
    expect(environment!.target).toEqual(releaseOf('1.0.0'));
    expect(environment!.traffic.target).toEqual({ requests: 0, failures: 0 });
    expect(revisions).toEqual({ policy: 1, membership: 3, record: 0 });
  });

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

  it('loses nothing of what was written', async () => {
    const id = await verified();
    const written = await world.step(id, startDeploy);
    const change = startDeploy(written);
    const { deployment, stages, environment } = await world.view(id);
    expect(deployment).toEqual({
      ...written.deployment,
      status: 'Running',
      reason: change.because,
      revision: written.deployment.revision + 1,
    });
    expect(stages[1]).toEqual({
      ...written.stages[1],
      ...change.stages![0],
      stageId: undefined,
      startedAt: expect.any(Number),
    });
    expect(environment!.record).toEqual({
      environment: 'Development',
      module: moduleName,
      ownerStageId: stages[1]!.id,
      release: null,
      previous: null,
      revision: 1,
    });
    const [node] = environment!.cluster.nodes;
    expect(node!.assignment(moduleName)).toEqual({
      ...planOf(releaseOf('1.0.0')),
      epoch: 1,
      revision: 2,
      assignedAt: expect.any(Number),
    });
    expect(await world.clusters.activeDeployments('Development')).toEqual(new Map([[moduleName, id]]));
  });

  it('has nothing to show of what is finished or was never there', async () => {
    const id = await world.succeedInDevelopment('1.0.0');
    expect(await world.rollouts.loadView(id)).toBeNull();
    expect(await world.rollouts.loadView('0193e3a6-0000-7000-8000-000000000000')).toBeNull();
    const record = await world.deployments.find(id);
    expect(record?.deployment).toMatchObject({ status: 'Succeeded', finishedAt: expect.any(Number) });
    expect(await world.rollouts.claimDue(10, 1)).toEqual([]);
  });
});

describe('committing', () => {
  const moved: [string, (view: DeploymentView) => Promise<unknown>][] = [
    ['the deployment', ({ deployment }) => world.deployments.request(deployment.id, { kind: 'cancel', reason: null })],
    ['the policy', () => world.clusters.replacePolicy('Development', defaultPolicy('QA'), 1)],
    ['the membership', () => world.join('c', 'Development')],
    ['a node', () => world.nodes.report('a', report('a-boot', 1, { state: 'LameDuck' }))],
    [
      'the record',
      () =>
        world.rows(
          `INSERT INTO hotswap.environment_release (environment, module, revision) VALUES ('Development', $1, 1)`,
          [moduleName],
        ),
    ],
  ];

  it.each(moved)('writes nothing when %s has moved since the look', async (_what, move) => {
    const id = await verified();
    const view = await world.view(id);
    const documentsBefore = await world.rows('SELECT FROM hotswap.node_document WHERE revision > 1');
    await move(view);
    const recordsBefore = await world.rows('SELECT * FROM hotswap.environment_release');
    expect(await world.rollouts.commit(view, decision(view, startDeploy(view)))).toBe('superseded');
    expect(await world.rows('SELECT * FROM hotswap.environment_release')).toEqual(recordsBefore);
    expect(await world.rows('SELECT FROM hotswap.node_document WHERE revision > 1')).toEqual(documentsBefore);
    expect(await world.rows(`SELECT FROM hotswap.decision WHERE because ->> 'code' = 'started'`)).toEqual([]);
    await world.step(id, startDeploy);
  });

  it('lets exactly one of two who decided on the same look write', async () => {
    const id = await verified();
    const view = await world.view(id);
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => world.rollouts.commit(view, decision(view, startDeploy(view)))),
    );
    expect(outcomes.sort()).toEqual(['committed', ...Array<string>(5).fill('superseded')]);
    expect((await world.nodes.document('a'))?.revision).toBe(2);
  });

  it('keeps a wait once, changes no revision by it, and tells it once', async () => {
    const id = await verified();
    const wait = (view: DeploymentView, count: number): Partial<PipelineDecision> => ({
      because: reason('waiting', `It waits for the ${count}th time`, { count }),
      stageId: view.stages[1]!.id,
      stages: [{ stageId: view.stages[1]!.id, status: 'Pending', reason: reason('waiting', `${count}`) }],
    });
    const first = await world.step(id, (view) => wait(view, 1));
    await world.step(id, (view) => wait(view, 2));
    const { deployment, stages } = await world.view(id);
    expect(deployment.revision).toBe(first.deployment.revision);
    expect(deployment.reason).toEqual(reason('waiting', 'It waits for the 2th time', { count: 2 }));
    expect(stages[1]!.reason?.message).toBe('2');
    expect(await world.rows(`SELECT FROM hotswap.decision WHERE kind = 'hold'`)).toHaveLength(1);
    expect((await eventTypes(id)).filter((type) => type === 'holding')).toHaveLength(1);
  });

  it('gives each touched node its next document, and the others none', async () => {
    const id = await verified();
    await world.step(id, (view) => ({
      ...startDeploy(view),
      assign: [{ nodeId: 'a', plan: planOf(releaseOf('1.0.0'), releaseOf('2.0.0'), 12.5) }],
    }));
    const { warmSeconds, drainSeconds } = defaultPolicy('Development');
    expect(await world.nodes.document('a')).toEqual({
      epoch: 1,
      revision: 2,
      modules: [
        {
          module: moduleName,
          ...planOf(releaseOf('1.0.0'), releaseOf('2.0.0'), 12.5),
          policy: { warmSeconds, drainSeconds },
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

  it('tells the story in order and ends it last', async () => {
    const id = await world.succeedInDevelopment('1.0.0');
    expect(await eventTypes(id)).toEqual([
      'deployment-created',
      'stage-succeeded',
      'stage-started',
      'step-advanced',
      'stage-succeeded',
      'stage-succeeded',
      'succeeded',
    ]);
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

  it('is claimed once, answered once, and makes the deployment due', async () => {
    const { id, stageId } = await requested();
    const claims = await Promise.all([world.evidence.claimRequested(5, 60), world.evidence.claimRequested(5, 60)]);
    expect(claims.flat()).toEqual([
      expect.objectContaining({
        stageId,
        subject: 'sha256:x',
        status: 'Requested',
        module: moduleName,
        version: '1.0.0',
        environments: ['Development', 'QA'],
      }),
    ]);
    const looked = await world.view(id);
    expect(await world.rollouts.claimDue(5, 60)).toEqual([]);
    const key = { stageId, kind: 'signature', subject: 'sha256:x' } as const;
    await world.evidence.answer(key, { status: 'Passed', message: 'signed', data: { signers: ['k'] } });
    await world.evidence.answer(key, { status: 'Refused', message: 'too late', data: {} });
    expect(await world.rollouts.commit(looked, decision(looked))).toBe('superseded');
    expect(await world.rollouts.claimDue(5, 60)).toEqual([id]);
    const { evidence } = await world.view(id);
    expect(evidence).toEqual([
      expect.objectContaining({ ...key, status: 'Passed', message: 'signed', data: { signers: ['k'] } }),
    ]);
    expect(evidence[0]!.deadlineAt - evidence[0]!.requestedAt).toBe(30_000);
    expect(await world.evidence.claimRequested(5, 60)).toEqual([]);
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
