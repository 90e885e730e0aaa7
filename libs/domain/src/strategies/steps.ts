import { isoInstant, second, type Instant } from '../instant.js';
import { routesAlike, type KernelNode, type NodePlan } from '../kernel-node.js';
import { inSeconds, reason, type Reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { describe, findFault, isJudged } from './guard.js';
import { awaitConfirmation, confirmedSince, elapsed, findEmptiness, findObstacle, hold } from './readiness.js';

/** One step of a rollout that moves its nodes by steps: what each node runs in it, and how long it is watched. */
export interface Step {
  number: number;
  targetPercent: number;
  scoutNodeId: string | null;
  /** "Canary step 2 of 4 (30 % of requests)". */
  title: string;
  plan(node: KernelNode): NodePlan;
  bake: Bake;
}

export interface Bake {
  minimumSeconds: number;
  /** While the target has had too few requests to be judged, the step lasts until then. */
  maximumSeconds: number;
  /** Goes on only when a person says so. */
  isManual: boolean;
}

/** What a strategy finds wrong with its target, and why a step that all nodes confirmed since then is not over yet (null: it is). */
export interface StepRules {
  findFault(view: RolloutView): Reason | null;
  waitFor(view: RolloutView, step: Step, since: Instant): Decision | null;
}

/** By the plain guards, for a time. */
export const plainRules: StepRules = { findFault, waitFor: bake };

export const noBake: Bake = { minimumSeconds: 0, maximumSeconds: 0, isManual: false };

/**
 * Four moves, in this order: anything fatal? -> anything to wait for? -> nodes that don't have the step's plan yet -> the next step.
 * A node that joins in the middle of a step gets the step's plan like all others.
 */
export function decideSteps(view: RolloutView, steps: readonly Step[], rules: StepRules = plainRules): Decision {
  const { progress } = view;
  const step = steps.find(({ number }) => number === progress?.number);
  if (!progress || !step) {
    const obstacle = findObstacle(view);
    return obstacle ? hold(view, obstacle) : (findEmptiness(view) ?? enter(view, steps, 0));
  }

  const fault = rules.findFault(view);
  if (fault) return { kind: 'roll-back', because: fault };
  const obstacle = findObstacle(view);
  if (obstacle) return hold(view, obstacle);

  const behind = view.cluster.live.filter((node) => !routesAlike(node.assignment(view.module), step.plan(node)));
  if (behind.length > 0) {
    const because = reason('nodes-joined', `${step.title}: ${behind.length} more nodes`, {
      nodes: behind.map(({ id }) => id),
    });
    return {
      kind: 'advance',
      because,
      assign: behind.map((node) => ({ nodeId: node.id, plan: step.plan(node) })),
      progress,
    };
  }
  const waiting =
    awaitConfirmation(view, progress.stepStartedAt) ??
    (view.promotion ? null : rules.waitFor(view, step, confirmedSince(view, progress.stepStartedAt)));
  if (waiting) return waiting;
  if (view.heldBack) return hold(view, view.heldBack);
  const next = steps.indexOf(step) + 1;
  if (next < steps.length) return enter(view, steps, next);
  return { kind: 'complete', because: reason('completed', `${step.title}: every node runs ${view.target.version}`) };
}

export function enter(view: RolloutView, steps: readonly Step[], index: number): Decision {
  const step = steps[index];
  if (!step) return { kind: 'complete', because: reason('completed', 'Nothing to do') };
  const assign = view.cluster.live
    .map((node) => ({ nodeId: node.id, plan: step.plan(node) }))
    .filter(({ nodeId, plan }) => !routesAlike(assignmentOf(view, nodeId), plan));
  const exposes = step.targetPercent > 0;
  return {
    kind: 'advance',
    because: reason('step', `${step.title} starts on ${assign.length} nodes`, {
      step: step.number,
      targetPercent: step.targetPercent,
    }),
    assign,
    progress: {
      number: step.number,
      of: steps.at(-1)?.number ?? step.number,
      targetPercent: step.targetPercent,
      stepStartedAt: view.cluster.now,
      scoutNodeId: step.scoutNodeId,
      exposedAt: view.progress?.exposedAt ?? (exposes ? view.cluster.now : null),
    },
  };
}

function bake(view: RolloutView, { title, bake: limits }: Step, since: Instant): Decision | null {
  const baked = elapsed(view, since);
  const isLongEnough = baked >= limits.minimumSeconds * second;
  const isTooLong = baked >= limits.maximumSeconds * second;
  const judged = isJudged(view.policy.guards, view.traffic);
  if (isLongEnough && (judged || isTooLong)) {
    if (!limits.isManual) return null;
    return hold(
      view,
      reason('awaiting-promotion', `${title}: waiting for a person to promote`, { traffic: view.traffic }),
    );
  }
  return hold(
    view,
    baking(view, title, baked, isLongEnough ? limits.maximumSeconds : limits.minimumSeconds, isLongEnough),
  );
}

function baking(view: RolloutView, title: string, baked: number, seconds: number, tooFew: boolean): Reason {
  const seen = `${describe(view.traffic.target)} failed on ${view.target.version}`;
  const limit = tooFew
    ? `at most ${seconds} s, because fewer than ${view.policy.guards.requestsMin} requests can't be judged`
    : `at least ${seconds} s`;
  return reason('baking', `${title}: ${inSeconds(baked)} of ${limit}; ${seen}`, {
    bakedMilliseconds: baked,
    untilAt: isoInstant(view.cluster.now + seconds * second - baked),
    traffic: view.traffic,
  });
}

function assignmentOf(view: RolloutView, nodeId: string): NodePlan | null {
  return view.cluster.nodes.find(({ id }) => id === nodeId)?.assignment(view.module) ?? null;
}
