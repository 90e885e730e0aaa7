import { describe, expect, it } from '@jest/globals';
import { isoInstant, type Freeze, type Policy } from '@hotswap/domain';
import { DeploymentPipeline } from '../src/deployment-pipeline.js';
import { reconcileDeployment } from '../src/reconcile/reconcile-deployment.js';
import { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from '../src/strategies/strategies.js';
import { StrategyRegistry } from '../src/strategies/strategy-registry.js';
import { World } from './world.js';

const pipeline = new DeploymentPipeline(
  new StrategyRegistry([new DirectStrategy(), new RollingStrategy(), new BlueGreenStrategy(), new CanaryStrategy()]),
);

function freezeProduction(world: World, fromMinute: number, toMinute: number, rule: Freeze['runningRollouts']): void {
  const began = world.now;
  const at = (minute: number) => isoInstant(began + minute * 60_000).slice(0, 16);
  const windows = [{ from: at(fromMinute), to: at(toMinute) }];
  const freeze = [{ name: 'audit', timeZone: 'UTC', windows, runningRollouts: rule }];
  world.policyOf = (policy) => (policy.strategy === 'Canary' ? { ...policy, freeze } : policy);
}

/** One second at a time; `between` may end it by answering true. */
async function run(world: World, between: () => boolean | void = () => undefined): Promise<void> {
  for (let pass = 0; pass < 12_000; pass++) {
    if (between()) return;
    const alarm = (violations: unknown[]) => expect(violations).toEqual([]);
    const outcome = await reconcileDeployment(world.deployment.id, { store: world, pipeline, alarm });
    if (outcome === 'gone') return;
    world.now += world.secondsPerPass * 1000;
    world.settle();
    world.clusterPass();
  }
  throw new Error(`Not finished: ${JSON.stringify(world.deployment.reason)}`);
}

/** When each share was first served in Production, in minutes from the beginning. */
async function sharesOver(world: World): Promise<Map<string, number>> {
  const began = world.now;
  const first = new Map<string, number>();
  await run(world, () => {
    for (const each of world.serving('Production')) if (!first.has(each)) first.set(each, (world.now - began) / 60_000);
  });
  return first;
}

describe('A frozen environment', () => {
  it('lets no rollout begin until it thaws, and says until when', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 0, 90, 'finish-step');
    const began = world.now;
    await run(world, () => world.deployment.reason.code === 'frozen');
    const untilAt = isoInstant(began + 90 * 60_000);
    expect(world.deployment.reason).toEqual({
      code: 'frozen',
      message: `Production is frozen (audit) until ${untilAt}`,
      data: { freezes: ['audit'], untilAt, runningRollouts: 'finish-step' },
    });
    expect(world.serving('Staging')).toEqual(['v2', 'v2']);
    expect(world.decisions.at(-1)?.recheckAt).toBe(began + 90 * 60_000);
    const first = await sharesOver(world);
    expect(world.deployment.status).toBe('Succeeded');
    expect(first.get('v1+v2@5')).toBeGreaterThan(85);
  });

  it('does not keep what runs there already from being skipped', async () => {
    const world = new World({ stable: 'v2', target: 'v2' });
    freezeProduction(world, 0, 90, 'hold');
    await run(world);
    expect(world.statusOf('Deploy', 'Production')).toBe('Skipped');
  });

  it('finish-step: the step in hand ends, no other begins', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 5, 60, 'finish-step');
    const first = await sharesOver(world);
    expect(world.deployment.status).toBe('Succeeded');
    const inside = [...first.values()].filter((minute) => minute > 5.1 && minute < 60);
    expect(inside).toEqual([]);
    expect([...first.values()].filter((minute) => minute > 0 && minute <= 5.1).length).toBeGreaterThan(1);
    // What the step still needed was waited for under the freeze: the next one begins with the thaw.
    expect(Math.min(...[...first.values()].filter((minute) => minute >= 60))).toBeLessThan(60.2);
  });

  it('hold: everything stands still, and its time counts for no bake', async () => {
    const free = await sharesOver(new World({ stable: 'v1', target: 'v2' }));
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 5, 60, 'hold');
    const first = await sharesOver(world);
    expect(world.deployment.status).toBe('Succeeded');
    for (const [share, minute] of free) {
      const expected = minute < 5 ? minute : minute + 55;
      expect([share, Math.abs((first.get(share) ?? Number.NaN) - expected) < 0.2]).toEqual([share, true]);
    }
    expect([...free.values()].some((minute) => minute > 5)).toBe(true);
  });

  it.each(['finish-step', 'hold'] as const)('%s: what speaks against the target is acted on', async (rule) => {
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 5, 600, rule);
    const began = world.now;
    await run(world, () => {
      if (world.now - began > 20 * 60_000) world.traffic.target = { requests: 1000, failures: 100 };
    });
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'failed-share-above-stable' } });
    expect(world.serving('Production')).toEqual(['v1', 'v1']);
    expect(world.now - began).toBeLessThan(21 * 60_000);
  });

  it('roll-back: a rollout that is under way goes back', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 5, 60, 'roll-back');
    const began = world.now;
    await run(world);
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'frozen' } });
    expect(world.serving('Production')).toEqual(['v1', 'v1']);
    expect(world.serving('Staging')).toEqual(['v2', 'v2']);
    expect(world.now - began).toBeLessThan(6 * 60_000);
  });

  it('lets people take a rollout back', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 5, 600, 'hold');
    await run(world, () => {
      if (world.deployment.reason.code === 'frozen' && !world.deployment.request)
        world.request({ kind: 'roll-back', scope: 'environment', reason: null, at: world.now });
    });
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'rollback-requested' } });
  });

  it.each(['finish-step', 'hold'] as const)('%s: frozen time is none of the day that a person has', async (rule) => {
    const pausing = () => {
      const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 60 });
      freezeProduction(world, 120, 120 + 64 * 60, rule);
      const { policyOf } = world;
      world.policyOf = (policy) => {
        const frozen = policyOf(policy);
        const [step, ...rest] = frozen.canary.steps;
        return { ...frozen, canary: { ...frozen.canary, steps: [{ ...step!, pause: true }, ...rest] } };
      };
      return world;
    };
    const world = pausing();
    const began = world.now;
    await run(world, () => world.now - began > 80 * 3_600_000);
    expect(world.deployment).toMatchObject({ status: 'Running', reason: { code: 'awaiting-promotion' } });
    world.say({ promotion: 'step' });
    await run(world);
    expect(world.deployment.status).toBe('Succeeded');

    const forgotten = pausing();
    await run(forgotten);
    expect(forgotten.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'nobody-decided' } });
    const hours = (forgotten.now - began) / 3_600_000;
    expect([hours > 64 + 24, hours < 64 + 25]).toEqual([true, true]);
  });

  it('that was lifted before its end still took nothing of that day', async () => {
    const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 60 });
    freezeProduction(world, 120, 120 + 64 * 60, 'finish-step');
    const { policyOf } = world;
    let isFrozen = true;
    world.policyOf = (policy) => {
      const frozen = policyOf(policy);
      const [step, ...rest] = frozen.canary.steps;
      const canary = { ...frozen.canary, steps: [{ ...step!, pause: true }, ...rest] };
      return { ...frozen, canary, freeze: isFrozen ? frozen.freeze : [] };
    };
    const began = world.now;
    await run(world, () => world.now - began > 60 * 3_600_000);
    isFrozen = false;
    await run(world, () => world.now - began > 70 * 3_600_000);
    expect(world.deployment).toMatchObject({ status: 'Running', reason: { code: 'awaiting-promotion' } });
  });

  it('counts for nothing after a pause in the same wait, and neither does the pause', async () => {
    const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 60 });
    const hour = 3_600_000;
    const began = world.now;
    freezeProduction(world, 41 * 60, 105 * 60, 'finish-step');
    const { policyOf } = world;
    world.policyOf = (policy) => {
      const frozen = policyOf(policy);
      const [step, ...rest] = frozen.canary.steps;
      return { ...frozen, canary: { ...frozen.canary, steps: [{ ...step!, pause: true }, ...rest] } };
    };
    await run(world, () => world.now - began > 10 * hour);
    expect(world.deployment).toMatchObject({ reason: { code: 'awaiting-promotion' } });
    world.say({ pausedAt: world.now });
    await run(world, () => world.now - began > 40 * hour);
    world.say({ pauses: [{ from: world.deployment.pausedAt!, to: world.now }], pausedAt: null });
    await run(world, () => world.now - began > 110 * hour);
    expect(world.deployment).toMatchObject({ status: 'Running', reason: { code: 'awaiting-promotion' } });
    await run(world);
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'nobody-decided' } });
    const waited = (world.now - began) / hour - 30 - 64;
    expect([waited > 24, waited < 25]).toEqual([true, true]);
  });

  it('does not hold who broke the glass, whose name goes into the decision', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    freezeProduction(world, 0, 600, 'roll-back');
    world.say({ breakGlass: { reason: 'INC-1', byEmail: 'on-call@example.com' } });
    await run(world);
    expect(world.deployment.status).toBe('Succeeded');
    const begun = world.decisions.filter(({ because }) => because.code === 'stage-started');
    expect(begun.map(({ because }) => Object.keys(because.data))).toEqual([[], [], [], ['breakGlass', 'frozen']]);
    expect(begun.at(-1)?.because.message).toContain('on-call@example.com broke the glass (INC-1)');
  });
});

describe('An approval by several', () => {
  const approver = (by: string, at: number) => ({ by, reason: null, at });

  it('waits for as many as the policy asked for when it began', async () => {
    const world = new World({ stable: 'v1', target: 'v2', upTo: 'Development', alwaysApproved: ['Development'] });
    const required = (count: number) =>
      (world.policyOf = (policy): Policy => ({ ...policy, approval: { required: count, always: true } }));
    required(2);
    await run(world, () => world.deployment.reason.code === 'awaiting-approval');
    expect(world.stages[1]?.approval).toMatchObject({ required: 2, approvals: [], verdict: null });
    required(1);
    const [, stage] = world.stages;
    if (!stage?.approval) throw new Error('no approval');
    const one = { ...stage.approval, approvals: [approver('a@example.com', world.now)] };
    world.decideApproval(stage.id, one);
    let looks = 0;
    await run(world, () => looks++ > 5);
    expect(world.deployment).toMatchObject({
      status: 'AwaitingApproval',
      reason: { data: { required: 2, approvedBy: ['a@example.com'] } },
    });
    const second = approver('b@example.com', world.now);
    world.decideApproval(stage.id, {
      ...one,
      approvals: [...one.approvals, second],
      verdict: { ...second, approved: true },
    });
    await run(world);
    expect(world.deployment.status).toBe('Succeeded');
    expect(world.stages[1]?.reason).toMatchObject({ message: 'Approved by a@example.com, b@example.com' });
  });

  it('has a day in which its environment is not frozen, as that was known when it was asked for', async () => {
    const world = new World({ stable: 'v1', target: 'v2', requireApproval: true, secondsPerPass: 60 });
    freezeProduction(world, 120, 120 + 64 * 60, 'finish-step');
    const began = world.now;
    const approve = () => {
      for (const stage of world.stages.filter(({ environment, approval }) => environment === 'Staging' && approval)) {
        const verdict = { ...approver('a@example.com', world.now), approved: true };
        if (!stage.approval!.verdict) world.decideApproval(stage.id, { ...stage.approval!, verdict });
      }
    };
    await run(world, () => {
      approve();
      return world.stages.some(({ environment, approval }) => environment === 'Production' && approval !== null);
    });
    const asked = world.stages.find(({ name, environment }) => name === 'Approval' && environment === 'Production');
    const { requestedAt, expiresAt } = asked!.approval!;
    expect(requestedAt - began).toBeLessThan(120 * 60_000);
    expect(expiresAt - requestedAt).toBe((24 + 64) * 3_600_000);
  });

  it('expires when not enough have said yes in a day', async () => {
    const world = new World({ stable: 'v1', target: 'v2', upTo: 'QA', alwaysApproved: ['QA'], secondsPerPass: 60 });
    world.policyOf = (policy) => ({ ...policy, approval: { required: 2, always: true } });
    await run(world, () => {
      const stage = world.stages.find(({ approval }) => approval?.approvals.length === 0);
      if (stage?.approval)
        world.decideApproval(stage.id, { ...stage.approval, approvals: [approver('a@example.com', world.now)] });
    });
    expect(world.deployment).toMatchObject({
      status: 'Failed',
      reason: { code: 'approval-expired', message: 'Only 1 of 2 people approved QA within 24 h' },
    });
    expect(world.serving('Development')).toEqual(['v2', 'v2']);
  });
});
