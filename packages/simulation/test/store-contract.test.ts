import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { defaultPolicy, reason, type DeploymentView } from '@hotswap/domain';
import { leaseSeconds } from '@hotswap/orchestrator';
import { TestPostgres } from '../../../libs/infrastructure/test/postgres.js';
import {
  completeDeploy,
  decision,
  joinRequest,
  moduleName,
  newDeployment,
  planOf,
  releaseOf,
  report,
  sample,
  startDeploy,
  type StoreWorld,
} from '../../../libs/infrastructure/test/store-world.js';
import { World } from '../../../libs/infrastructure/test/world.js';
import { MemoryWorld } from './memory-world.js';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const kinds: [string, () => Promise<StoreWorld>][] = [
  ['memory', async () => new MemoryWorld()],
  ['Postgres', async () => new World(await postgres.open(await postgres.clone()))],
];

describe.each(kinds)('the stores in %s', (_kind, open) => {
  let world: StoreWorld;
  beforeEach(async () => {
    world = await open();
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

  const outcomeOf = async (id: string, view: DeploymentView) => {
    const outcome = await world.rollouts.commit(view, decision(view, startDeploy(view)));
    return [outcome, (await world.nodes.document('a'))?.revision, (await world.eventTypes(id)).at(-1)];
  };

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
      const { environment, revisions } = await world.view(await verified());
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
      expect(environment!.cluster.releases).toEqual([{ ...environment!.record, ownerStageId: expect.any(String) }]);
      expect(environment!.target).toEqual(releaseOf('1.0.0'));
      expect(environment!.traffic.target).toEqual({ requests: 0, failures: 0 });
      expect(revisions).toEqual({ policy: 1, membership: 3, record: 0 });
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
      expect(environment!.record).toMatchObject({ ownerStageId: stages[1]!.id, release: null, revision: 1 });
      const [node] = environment!.cluster.nodes;
      expect(node!.assignment(moduleName)).toMatchObject({ ...planOf(releaseOf('1.0.0')), epoch: 1, revision: 2 });
      expect(await world.clusters.activeDeployments('Development')).toEqual(new Map([[moduleName, id]]));
    });

    it('sums the traffic of the target and of the others since the step started', async () => {
      const id = await verified('2.0.0');
      await world.step(id, startDeploy);
      const traffic = [sample(releaseOf('1.0.0'), 10, 1), sample(releaseOf('2.0.0'), 20, 2)];
      await world.nodes.report('a', report('a-boot', 3, { traffic }));
      await world.nodes.report('a', report('a-boot', 3, { traffic }));
      await world.nodes.report('b', report('b-boot', 3, { traffic: [sample(releaseOf('2.0.0'), 5, 5)] }));
      expect((await world.view(id)).environment!.traffic).toMatchObject({
        target: { requests: 25, failures: 7 },
        stable: { requests: 10, failures: 1 },
        before: { requests: 0, failures: 0 },
      });
    });

    it('has nothing to show of what is finished or was never there', async () => {
      const id = await world.succeedInDevelopment('1.0.0');
      expect(await world.rollouts.loadView(id)).toBeNull();
      expect(await world.rollouts.loadView('0193e3a6-0000-7000-8000-00000000ffff')).toBeNull();
      expect(await world.rollouts.claimDue(10, 1)).toEqual([]);
      expect(await world.eventTypes(id)).toEqual([
        'deployment-created',
        'stage-succeeded',
        'stage-started',
        'step-advanced',
        'stage-succeeded',
        'stage-succeeded',
        'succeeded',
      ]);
    });
  });

  describe('committing', () => {
    const moved: [string, (view: DeploymentView) => Promise<unknown>][] = [
      [
        'the deployment',
        ({ deployment }) => world.deployments.request(deployment.id, { kind: 'cancel', reason: null }),
      ],
      ['a pause', ({ deployment }) => world.deployments.control(deployment.id, { kind: 'pause', reason: null })],
      ['the policy', () => world.clusters.replacePolicy('Development', defaultPolicy('QA'), 1)],
      ['the membership', () => world.join('c', 'Development')],
      ['a node', () => world.nodes.report('a', report('a-boot', 1, { state: 'LameDuck' }))],
    ];

    it.each(moved)('writes nothing when %s has moved since the look', async (_what, move) => {
      const id = await verified();
      const view = await world.view(id);
      await move(view);
      const types = await world.eventTypes(id);
      expect(await outcomeOf(id, view)).toEqual(['superseded', 1, types.at(-1)]);
      expect((await world.clusters.load('Development')).releases).toMatchObject([{ release: null, revision: 0 }]);
      await world.step(id, startDeploy);
      expect((await world.nodes.document('a'))?.revision).toBe(2);
    });

    it('writes although a node has reported, as long as its state is the same', async () => {
      const id = await verified();
      await world.nodes.report('a', report('a-boot', 1, { state: 'Starting' }));
      const view = await world.view(id);
      await world.nodes.report('a', report('a-boot', 2, { state: 'Starting', modules: [] }));
      expect(await outcomeOf(id, view)).toEqual(['committed', 2, 'step-advanced']);
    });

    it('writes nothing of a look that is older than its claim lasts', async () => {
      const id = await verified();
      const view = await world.view(id);
      const old = { ...view, now: view.now - leaseSeconds * 1000 - 1 };
      expect((await outcomeOf(id, old)).slice(0, 2)).toEqual(['superseded', 1]);
      expect((await outcomeOf(id, view)).slice(0, 2)).toEqual(['committed', 2]);
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

    it('changes no revision by a wait, and tells it once', async () => {
      const id = await verified();
      const wait = (count: number) => ({ because: reason('waiting', `For the ${count}th time`, { count }) });
      const first = await world.step(id, () => wait(1));
      await world.step(id, () => wait(2));
      const { deployment } = await world.view(id);
      expect(deployment.revision).toBe(first.deployment.revision);
      expect(deployment.reason).toEqual(wait(2).because);
      expect((await world.eventTypes(id)).filter((type) => type === 'holding')).toHaveLength(1);
    });
  });

  describe('the cluster pass', () => {
    it('gives nodes what the record says, unless the record has moved or has an owner', async () => {
      await world.join('a', 'Development');
      await world.succeedInDevelopment('1.0.0');
      await world.join('late', 'Development');
      const cluster = await world.clusters.load('Development');
      const plans = [{ nodeId: 'late', module: moduleName, plan: planOf(releaseOf('1.0.0')) }];
      const id = await world.deploy('2.0.0', 'Development');
      await world.step(id, ({ stages }) => ({ stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }] }));
      await world.step(id, (view) => ({ ...startDeploy(view), assign: [] }));
      expect(await world.clusters.assign(cluster, plans)).toBe(0);
      await world.step(id, completeDeploy);
      expect(await world.clusters.assign(cluster, plans)).toBe(0);
      const newest = await world.clusters.load('Development');
      expect(await world.clusters.assign(newest, plans)).toBe(1);
      expect(await world.clusters.assign(newest, plans)).toBe(0);
      expect(await world.nodes.document('late')).toMatchObject({ epoch: 1, revision: 2 });
    });
  });

  describe('the way back of a rollout', () => {
    it('stays started on every node for as long as the deployment is not over, then for the policy’s time', async () => {
      await world.join('a', 'Development');
      await world.succeedInDevelopment('1.0.0');
      const warmSeconds = async () => (await world.nodes.document('a'))!.modules[0]!.policy.warmSeconds;
      const id = await world.deploy('2.0.0', 'Development');
      await world.step(id, ({ stages }) => ({ stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }] }));
      const warm = { ...planOf(releaseOf('2.0.0')), warm: [releaseOf('1.0.0')] };
      await world.step(id, (view) => ({ ...startDeploy(view), assign: [{ nodeId: 'a', plan: warm }] }));
      const policySeconds = defaultPolicy('Development').warmSeconds;
      expect(await warmSeconds()).toBeGreaterThan(1000 * policySeconds);
      await world.step(id, completeDeploy);
      expect(await warmSeconds()).toBeGreaterThan(1000 * policySeconds);
      const held = (await world.nodes.document('a'))!.revision;
      await world.step(id, ({ stages }) => ({
        kind: 'finish',
        status: 'Succeeded',
        stages: [{ stageId: stages[2]!.id, status: 'Succeeded' }],
      }));
      expect(await warmSeconds()).toBe(policySeconds);
      expect((await world.nodes.document('a'))!.revision).toBe(held + 1);
    });

    it('is not kept started where the policy says so', async () => {
      await world.join('a', 'Development');
      await world.clusters.replacePolicy('Development', { ...defaultPolicy('Development'), warmSeconds: 0 }, 1);
      const id = await world.deploy('2.0.0', 'Development');
      await world.step(id, ({ stages }) => ({ stages: [{ stageId: stages[0]!.id, status: 'Succeeded' }] }));
      await world.step(id, startDeploy);
      expect((await world.nodes.document('a'))!.modules[0]!.policy.warmSeconds).toBe(0);
    });
  });

  describe('what people ask', () => {
    it('creates one deployment at a time, once for a key, and of published versions alone', async () => {
      const idempotency = { key: 'k', bodyDigest: 'one' };
      const id = await world.deploy('1.0.0', 'QA', { idempotency });
      const create = (version: string, wish: Parameters<typeof newDeployment>[2] = {}) =>
        world.deployments.create(newDeployment(version, 'Development', wish));
      expect(await create('1.0.0', { idempotency })).toEqual({ kind: 'repeated', id });
      const other = { ...idempotency, bodyDigest: 'other' };
      expect(await create('1.0.0', { idempotency: other })).toEqual({ kind: 'idempotency-key-reused' });
      expect(await create('2.0.0')).toEqual({ kind: 'deployment-in-progress', id });
      expect(await create('3.0.0')).toEqual({ kind: 'version-not-found' });
      expect(await create('1.0.0', { module: 'unknown' })).toEqual({ kind: 'module-not-found' });
    });

    it('lets a deployment take the place of another, and of the one that waits for it', async () => {
      const first = await world.deploy('1.0.0', 'QA');
      const second = await world.deploy('2.0.0', 'QA', { onConflict: 'supersede' });
      const third = await world.deploy('1.0.0', 'Development', { onConflict: 'supersede' });
      expect((await world.view(first)).deployment.request).toMatchObject({ kind: 'supersede', by: second });
      expect((await world.view(second)).deployment).toMatchObject({
        supersedes: { id: first, status: 'Pending' },
        request: { kind: 'supersede', by: third },
      });
      expect((await world.view(third)).deployment.supersedes).toEqual({ id: second, status: 'Pending' });
      expect(await world.eventTypes(first)).toEqual(['deployment-created', 'supersede-requested']);
    });

    it('pauses once, goes on with the pause kept, and promotes what runs', async () => {
      const id = await verified();
      const control = (kind: 'pause' | 'resume') => world.deployments.control(id, { kind, reason: null });
      const promote = (full: boolean) => world.deployments.control(id, { kind: 'promote', full, reason: null });
      expect([await control('resume'), await promote(true)]).toEqual(['not-paused', 'nothing-to-promote']);
      expect([await control('pause'), await control('pause')]).toEqual(['accepted', 'accepted']);
      const { pausedAt } = (await world.view(id)).deployment;
      expect(await control('resume')).toBe('accepted');
      const { deployment } = await world.view(id);
      expect(deployment).toMatchObject({ pausedAt: null, pauses: [{ from: pausedAt, to: expect.any(Number) }] });
      await world.step(id, startDeploy);
      expect([await promote(true), await promote(false)]).toEqual(['accepted', 'accepted']);
      expect((await world.view(id)).deployment.promotion).toBe('full');
      expect((await world.eventTypes(id)).filter((type) => /^(paused|resumed|promoted)$/.test(type))).toEqual([
        'paused',
        'resumed',
        'promoted',
        'promoted',
      ]);
      expect(await world.rollouts.claimDue(5, 60)).toEqual([id]);
    });

    it('takes back what was touched, and opens what had succeeded again while it is still current', async () => {
      const rollBack = (id: string) =>
        world.deployments.request(id, { kind: 'roll-back', scope: 'environment', reason: null });
      await world.join('a', 'Development');
      const waiting = await world.deploy('1.0.0', 'Development');
      expect(await rollBack(waiting)).toEqual({ kind: 'nothing-to-roll-back' });
      expect(await rollBack('0193e3a6-0000-7000-8000-00000000ffff')).toEqual({ kind: 'deployment-not-found' });
      await world.step(waiting, () => ({ kind: 'finish', status: 'Failed', stages: [] }));
      expect(await rollBack(waiting)).toEqual({ kind: 'nothing-to-roll-back' });
      expect(await world.deployments.request(waiting, { kind: 'cancel', reason: null })).toEqual({
        kind: 'not-running',
      });
    });

    it('opens a deployment that had succeeded again, unless its environment has moved on', async () => {
      await world.join('a', 'Development');
      const first = await world.succeedInDevelopment('1.0.0');
      const second = await world.succeedInDevelopment('2.0.0');
      const rollBack = (id: string) =>
        world.deployments.request(id, { kind: 'roll-back', scope: 'all', reason: 'slow' });
      expect(await rollBack(first)).toMatchObject({ kind: 'not-current' });
      expect(await rollBack(second)).toEqual({ kind: 'accepted' });
      const { deployment, stages } = await world.view(second);
      expect(deployment).toMatchObject({ status: 'RollingBack', finishedAt: null, request: { kind: 'roll-back' } });
      expect(stages.map(({ status }) => status)).toEqual(['Succeeded', 'RollingBack', 'Succeeded']);
      expect(await world.deployments.create(newDeployment('1.0.0', 'QA'))).toEqual({
        kind: 'deployment-in-progress',
        id: second,
      });
    });
  });

  describe('evidence', () => {
    it('is claimed once, answered once, and makes the deployment due', async () => {
      const id = await world.deploy('1.0.0', 'QA');
      const { stages } = await world.step(id, (view) => ({
        kind: 'gather',
        status: 'Running',
        recheckAt: view.now + 3_600_000,
        stages: [{ stageId: view.stages[0]!.id, status: 'Running' }],
        evidence: [{ stageId: view.stages[0]!.id, kind: 'signature', subject: 'sha256:x', deadlineSeconds: 30 }],
      }));
      const key = { stageId: stages[0]!.id, kind: 'signature', subject: 'sha256:x' } as const;
      const claims = await Promise.all([world.evidence.claimRequested(5, 60), world.evidence.claimRequested(5, 60)]);
      const asked = { ...key, status: 'Requested', module: moduleName, version: '1.0.0' };
      expect(claims.flat()).toEqual([expect.objectContaining({ ...asked, environments: ['Development', 'QA'] })]);
      const looked = await world.view(id);
      expect(await world.rollouts.claimDue(5, 60)).toEqual([]);
      await world.evidence.answer(key, { status: 'Passed', message: 'signed', data: { signers: ['k'] } });
      await world.evidence.answer(key, { status: 'Refused', message: 'too late', data: {} });
      expect(await world.rollouts.commit(looked, decision(looked))).toBe('superseded');
      expect(await world.rollouts.claimDue(5, 60)).toEqual([id]);
      const { evidence } = await world.view(id);
      const answered = { ...key, status: 'Passed', message: 'signed', data: { signers: ['k'] } };
      expect(evidence).toEqual([expect.objectContaining(answered)]);
      expect(evidence[0]!.deadlineAt - evidence[0]!.requestedAt).toBe(30_000);
      expect(await world.evidence.claimRequested(5, 60)).toEqual([]);
    });
  });

  describe('nodes', () => {
    it('lets the latest boot report, each report once, and tells a copy from a database that knows less', async () => {
      await world.nodes.join(joinRequest('a', 'QA', '1.x'), 'hash', null);
      await world.nodes.join(joinRequest('a', 'QA', '2.x'), 'other', 'hash');
      expect(await world.nodes.secretHash('a')).toBe('hash');
      const said = async (bootId: string, sequence: number) => world.nodes.report('a', report(bootId, sequence));
      expect(await said('1.x', 9)).toBe('fenced');
      expect(await said('3.x', 1)).toBe('unknown-node');
      expect([await said('2.x', 1), await said('2.x', 1), await said('2.x', 0)]).toEqual([
        'accepted',
        'repeated',
        'repeated',
      ]);
      expect(await world.nodes.report('z', report('1.x', 1))).toBe('unknown-node');
      const wrong = joinRequest('a', 'QA', '2.x');
      expect(await world.nodes.join(wrong, 'x', 'wrong')).toEqual({ kind: 'identity-taken' });
      expect(await world.nodes.join({ ...wrong, environment: 'Staging' }, 'x', 'hash')).toEqual({
        kind: 'identity-taken',
      });
    });

    it.each([
      ['knows a higher revision', { accepted: { epoch: 1, revision: 40 } }],
      ['knows the same one with other content', { accepted: { epoch: 1, revision: 1 }, diverged: true }],
    ])('raises the epoch for all when one %s', async (_what, change) => {
      await world.join('a', 'QA');
      await world.join('b', 'QA');
      await world.nodes.report('a', report('a-boot', 1, change));
      await world.nodes.report('a', report('a-boot', 2, change));
      const revisions = await world.nodes.documentRevisions(['a', 'b', 'unknown']);
      const raised = { epoch: 2, revision: 2 };
      expect(revisions).toEqual(new Map(Object.entries({ a: raised, b: raised })));
      expect(await world.join('c', 'QA')).toMatchObject({ document: { epoch: 2, revision: 1 } });
    });
  });
});
