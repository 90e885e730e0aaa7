import { describe, expect, it } from '@jest/globals';
import {
  isoInstant,
  type Decision,
  type EnvironmentName,
  type Freeze,
  type RolloutView,
  type Strategy,
} from '@hotswap/domain';
import { latencyBucketSeconds } from '@hotswap/agent-protocol';
import fc from 'fast-check';
import { DeploymentPipeline } from '../src/deployment-pipeline.js';
import { planDeployment, type Course, type PlanSubject } from '../src/plan/plan-deployment.js';
import type { MeasuredLoad } from '../src/plan/modelled-traffic.js';
import { reconcileDeployment } from '../src/reconcile/reconcile-deployment.js';
import { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from '../src/strategies/strategies.js';
import { StrategyRegistry } from '../src/strategies/strategy-registry.js';
import { World } from './world.js';

const builtIn = [new DirectStrategy(), new RollingStrategy(), new BlueGreenStrategy(), new CanaryStrategy()];
const pipeline = new DeploymentPipeline(new StrategyRegistry(builtIn));

function planOf(subject: PlanSubject, by = pipeline): Course {
  const course = planDeployment(by, subject);
  for (;;) {
    const turn = course.next();
    if (turn.done) return turn.value;
  }
}

/** "Production 2/4 30 %: a b". */
function plannedSteps({ stages }: Course): string[] {
  return stages.flatMap(({ environment, rollout }) =>
    (rollout?.steps ?? []).map(
      ({ number, of, targetPercent, nodes }) => `${environment} ${number}/${of} ${targetPercent} %: ${nodes.join(' ')}`,
    ),
  );
}

/** The same of what the pipeline decided. */
function decidedSteps(world: World): string[] {
  const steps = new Map<string, { title: string; nodes: string[] }>();
  for (const { stages, assign } of world.decisions) {
    for (const { stageId, progress } of stages) {
      if (!progress) continue;
      const environment = world.stages.find(({ id }) => id === stageId)?.environment;
      const key = `${stageId}/${progress.number}`;
      const title = `${environment} ${progress.number}/${progress.of} ${progress.targetPercent} %`;
      const nodes = assign.map(({ nodeId }) => nodeId);
      const step = steps.get(key) ?? { title, nodes: [] };
      steps.set(key, { ...step, nodes: [...step.nodes, ...nodes.filter((id) => !step.nodes.includes(id))] });
    }
  }
  return [...steps.values()].map(({ title, nodes }) => `${title}: ${nodes.join(' ')}`);
}

/** Lets the pipeline work on nodes that behave, with people who say yes, until it ends or stands still. */
async function drive(world: World, by = pipeline): Promise<void> {
  let quiet = 0;
  for (let pass = 0; pass < 20_000 && quiet < 60; pass++) {
    const outcome = await reconcileDeployment(world.deployment.id, {
      store: world,
      pipeline: by,
      alarm: (violations) => expect(violations).toEqual([]),
    });
    if (outcome === 'gone') return;
    const { code } = world.deployment.reason;
    quiet = world.decisions.at(-1)?.kind === 'hold' && code === 'nodes-lost' ? quiet + 1 : 0;
    if (code === 'awaiting-promotion' || code === 'not-judged') world.say({ promotion: 'step' });
    for (const { id, approval } of world.stages) {
      if (approval && !approval.verdict)
        world.decideApproval(id, { ...approval, verdict: { approved: true, by: 'lead', reason: null, at: world.now } });
    }
    const { untilAt } = world.deployment.reason.data;
    world.now = code === 'frozen' ? Date.parse(String(untilAt)) : world.now + 1000;
    world.settle();
    for (const node of world.nodes) if (!world.lost.has(node.id)) node.heartbeatAt = world.now;
    world.clusterPass();
  }
}

const policies = fc.record({
  strategy: fc.constantFrom('Direct', 'Rolling', 'BlueGreen', 'Canary'),
  canary: fc.record({
    scout: fc.option(fc.record({ percent: fc.constantFrom(1, 5), seconds: fc.integer({ min: 0, max: 20 }) })),
    steps: fc
      .uniqueArray(fc.integer({ min: 6, max: 99 }), { minLength: 0, maxLength: 4 })
      .map((percents) =>
        [...percents.sort((a, b) => a - b), 100].map((percent) => ({ percent, minimumSeconds: 3, maximumSeconds: 9 })),
      ),
    analysis: fc.option(
      fc.record({
        twin: fc.boolean(),
        bakeSeconds: fc.integer({ min: 0, max: 40 }),
        inconclusive: fc.constantFrom('advance', 'hold'),
        parameters: fc.constant({}),
      }),
    ),
  }),
  rolling: fc.record({
    maxUnavailable: fc.constantFrom('0', '1', '2', '25%', '50%'),
    maxSurge: fc.constantFrom('0', '1', '25%'),
    minimumReadySeconds: fc.integer({ min: 0, max: 6 }),
  }),
  blueGreen: fc.record({ autoPromote: fc.boolean(), bakeSeconds: fc.integer({ min: 0, max: 12 }) }),
  lostNodesMax: fc.integer({ min: 0, max: 2 }),
  approval: fc.record({ required: fc.integer({ min: 1, max: 3 }), always: fc.boolean() }),
});

const freezes = fc.option(
  fc.record({
    afterMinutes: fc.integer({ min: 0, max: 2 }),
    minutes: fc.integer({ min: 1, max: 90 }),
    rule: fc.constantFrom('finish-step' as const, 'hold' as const),
  }),
);

function freezeOf(now: number, afterMinutes: number, minutes: number, rule: Freeze['runningRollouts']): Freeze[] {
  const at = (minute: number) => isoInstant(now + minute * 60_000).slice(0, 16);
  const windows = [{ from: at(afterMinutes), to: at(afterMinutes + minutes) }];
  return [{ name: 'audit', timeZone: 'UTC', runningRollouts: rule, windows }];
}

describe('A plan', () => {
  it('has the very steps that the pipeline then decides when nodes behave', async () => {
    const seen: Record<string, number> = {};
    const count = (what: string) => (seen[what] = (seen[what] ?? 0) + 1);
    await fc.assert(
      fc.asyncProperty(
        fc.array(policies, { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom('v1', null),
        fc.oneof(
          { weight: 3, arbitrary: fc.constant([]) },
          fc.subarray(['QA-1', 'QA-2', 'Production-1', 'Production-3']),
        ),
        freezes,
        async (changes, nodesPerEnvironment, stable, silent, freeze) => {
          const order = ['Direct', 'Rolling', 'BlueGreen', 'Canary'];
          const names: EnvironmentName[] = ['Development', 'QA', 'Staging', 'Production'];
          const alwaysApproved = names.filter((_, index) => changes[index]?.approval.always);
          const world = new World({ stable, target: 'v2', nodesPerEnvironment, alwaysApproved });
          world.isAnalysing = true;
          const frozen = freeze ? freezeOf(world.now, freeze.afterMinutes, freeze.minutes, freeze.rule) : [];
          world.policyOf = (policy) => ({ ...policy, freeze: frozen, ...changes[order.indexOf(policy.strategy)] });
          for (const id of silent) world.lose(id);

          const plan = planOf(world.subject());
          await drive(world);

          expect(plannedSteps(plan)).toEqual(decidedSteps(world));
          expect(plan.succeeds).toBe(world.deployment.status === 'Succeeded');
          if (plan.succeeds)
            expect(plan.stages.map(({ status }) => status)).toEqual(world.stages.map(({ status }) => status));
          else
            expect(plan.gates.at(-1)).toMatchObject({ endsBy: null, because: { code: world.deployment.reason.code } });

          for (const { rollout } of plan.stages) if (rollout && rollout.steps.length > 1) count(rollout.strategy);
          for (const { because } of plan.gates) count(because.code);
          count(plan.succeeds ? 'succeeds' : 'stops');
        },
      ),
      { numRuns: 100 },
    );
    // Guard against a vacuous run: each must have been met by so many of them.
    const least = {
      Rolling: 6,
      BlueGreen: 10,
      Canary: 10,
      succeeds: 30,
      stops: 2,
      frozen: 10,
      'awaiting-approval': 30,
      'awaiting-promotion': 6,
      'nodes-lost': 1,
      'not-judged': 6,
    };
    const missing = Object.entries(least).filter(([what, times]) => (seen[what] ?? 0) < times);
    expect(missing).toEqual([]);
  }, 300_000);

  it('is the same when it is made again, and leaves what it was made of alone', () => {
    const world = new World({ stable: 'v1', target: 'v2', nodesPerEnvironment: 3 });
    const subject = world.subject();
    const before = JSON.stringify(subject);
    expect(planOf(subject)).toEqual(planOf(subject));
    expect(JSON.stringify(subject)).toBe(before);
  });

  it('counts how many nodes serve and how many change at a time, and how long it takes', () => {
    const world = new World({ stable: 'v1', target: 'v2', nodesPerEnvironment: 4, upTo: 'QA' });
    world.policyOf = (policy) => ({
      ...policy,
      rolling: { maxUnavailable: '1', maxSurge: '0', minimumReadySeconds: 8 },
    });
    const { stages, seconds } = planOf(world.subject());
    const [development, qa] = stages.filter(({ name }) => name === 'Deploy');
    expect(development?.rollout?.capacity).toEqual({ nodes: 4, servingMin: 4, replacingMax: 4 });
    expect(qa?.rollout?.capacity).toEqual({ nodes: 4, servingMin: 4, replacingMax: 1 });
    expect(qa?.rollout?.steps.map(({ nodes }) => nodes)).toEqual([['QA-1'], ['QA-2'], ['QA-3'], ['QA-4']]);
    // Four times 2 s to confirm and 8 s to be ready.
    expect(qa?.seconds).toBeGreaterThanOrEqual(40);
    expect(qa?.seconds).toBeLessThan(44);
    expect(seconds).toBeGreaterThanOrEqual(40 + 2 + 10);
  });

  it('says that nothing serves before a first release is there', () => {
    const { stages } = planOf(new World({ stable: null, target: 'v2', upTo: 'Development' }).subject());
    expect(stages[1]?.rollout).toMatchObject({ fromVersion: null, capacity: { nodes: 2, servingMin: 0 } });
  });

  it('goes through a canary as soon as its traffic proves it, and at its slowest without any', () => {
    const world = new World({ stable: 'v1', target: 'v2', nodesPerEnvironment: 5 });
    const latency = Array.from({ length: latencyBucketSeconds.length + 1 }, (_, bucket) =>
      bucket < 60 ? 60 - bucket : 0,
    );
    const planAt = (requestsPerSecond: number | null) => {
      const loads = new Map<EnvironmentName, MeasuredLoad>();
      if (requestsPerSecond !== null) loads.set('Production', { requestsPerSecond, errorRate: 0.01, latency });
      return planOf({ ...world.subject(), loads }).stages.find(
        ({ name, environment }) => name === 'Deploy' && environment === 'Production',
      );
    };
    const silent = planAt(null);
    const busy = planAt(2000);
    expect(silent?.rollout?.power).toBeNull();
    expect(busy?.rollout?.power).toMatchObject({ requestsPerSecond: 2000, errorRate: 0.01 });
    expect(busy?.rollout?.power?.steps.map(({ percent }) => percent)).toEqual([10, 30, 50]);
    expect(busy?.rollout?.power?.steps[0]?.minutes['x5']).toBeLessThan(1);
    expect(busy?.status).toBe('Succeeded');
    // Scout 60 s and three steps of at most 900 s; with enough traffic the policy's 900 s bake is what is left.
    expect(silent?.seconds).toBeGreaterThan(60 + 3 * 900);
    expect(busy?.seconds).toBeGreaterThan(890);
    expect(busy?.seconds).toBeLessThan(1100);
  });

  it('ends where there is no live node, and where a freeze would take the rollout back', () => {
    const empty = new World({ stable: 'v1', target: 'v2', nodesPerEnvironment: 0 });
    expect(planOf(empty.subject())).toMatchObject({
      succeeds: false,
      gates: [{ stage: 'Deploy', environment: 'Development', endsBy: null, because: { code: 'no-live-nodes' } }],
    });
    const world = new World({ stable: 'v1', target: 'v2', nodesPerEnvironment: 1 });
    world.policyOf = (policy) =>
      policy.strategy === 'Canary' ? { ...policy, freeze: freezeOf(world.now, 5, 60, 'roll-back') } : policy;
    const { succeeds, gates, stages } = planOf(world.subject());
    expect([succeeds, gates]).toMatchObject([
      false,
      [{ environment: 'Production', endsBy: null, because: { code: 'frozen' } }],
    ]);
    expect(stages.at(-2)?.rollout?.steps.length).toBeGreaterThan(0);
  });

  it('ends where an environment is frozen for ever, and where nobody can promote', () => {
    const forEver = ['Monday 00:00', 'Thursday 00:00'];
    const windows = forEver.map((from, index) => ({ from, to: forEver[1 - index] ?? from }));
    const freeze: Freeze[] = [{ name: 'always', timeZone: 'Europe/Berlin', runningRollouts: 'hold', windows }];
    const world = new World({ stable: 'v1', target: 'v2', upTo: 'Development' });
    world.policyOf = (policy) => ({ ...policy, freeze });
    expect(planOf(world.subject())).toMatchObject({
      succeeds: false,
      gates: [
        { endsBy: 'Time', because: { code: 'frozen' } },
        { endsBy: null, because: { code: 'frozen' } },
      ],
    });
    const because = { code: 'awaiting-promotion', message: 'Never', data: {} };
    const stubborn: Strategy = { name: 'Direct', decide: () => ({ kind: 'hold', because, recheckAt: null }) };
    const own = new DeploymentPipeline(new StrategyRegistry([...builtIn.slice(1), stubborn]));
    const plan = planOf(new World({ stable: 'v1', target: 'v2', upTo: 'Development' }).subject(), own);
    expect(plan.gates.map(({ endsBy }) => endsBy)).toEqual(['Person', null]);
  });

  it('takes a strategy that someone else wrote as it is', () => {
    const halves: Strategy = { name: 'Direct', decide: decideHalves };
    const own = new DeploymentPipeline(new StrategyRegistry([...builtIn.slice(1), halves]));
    const world = new World({ stable: 'v1', target: 'v2', nodesPerEnvironment: 4, upTo: 'Development' });
    const { succeeds, stages } = planOf(world.subject(), own);
    expect(succeeds).toBe(true);
    expect(stages[1]?.rollout?.steps.map(({ nodes }) => nodes.length)).toEqual([2, 2]);
  });
});

/** Half of the nodes, then the others. */
function decideHalves({ cluster, module, stable, target, progress }: RolloutView): Decision {
  const because = { code: 'halves', message: 'Half of the nodes', data: {} };
  if (cluster.live.some((node) => !node.confirms(module)) && progress)
    return { kind: 'hold', because, recheckAt: cluster.now + 100 };
  const left = cluster.live.filter((node) => node.assignment(module)?.active?.digest !== target.digest);
  if (left.length === 0) return { kind: 'complete', because };
  const plan = { active: target, candidate: null, candidatePercent: 0, warm: stable ? [stable] : [], fallback: stable };
  const assign = left.slice(0, Math.ceil(cluster.live.length / 2)).map(({ id }) => ({ nodeId: id, plan }));
  const number = (progress?.number ?? 0) + 1;
  const step = { number, of: 2, targetPercent: 50 * number, stepStartedAt: cluster.now, scoutNodeId: null };
  return { kind: 'advance', because, assign, progress: { ...step, exposedAt: cluster.now } };
}
