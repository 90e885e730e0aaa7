import { isoInstant, second, type Instant } from '../instant.js';
import { routesAlike, type KernelNode, type NodePlan } from '../kernel-node.js';
import type { Progress } from '../deployment.js';
import { inSeconds, reason, type Reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { describe, findFault, isJudged } from './guard.js';
import { awaitConfirmation, awaitSurroundings, confirmedSince, elapsed, hold, holdForPerson } from './readiness.js';

/** One step of a rollout that moves its nodes by steps: what each node runs in it, and how long it is watched. */
export interface Step {
  number: number;
  targetPercent: number;
  scoutNodeId: string | null;
  /** "Canary step 2 of 4 (30 % of requests)". */
  title: string;
  plan(node: KernelNode): NodePlan;
  bake: Bake;
  /** Its percentage is the policy's; with another one it is another step. Left out: false. */
  isShare?: boolean;
  /** What the nodes have shown once all have confirmed: told by whatever follows. */
  evidence?(): Pick<Reason, 'message' | 'data'>;
  /** What is to be kept of the moment in which all nodes had confirmed; null: nothing (any more). */
  keep?(progress: Progress): { because: Reason; progress: Progress } | null;
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
  const fault = progress ? rules.findFault(view) : null;
  if (fault) return { kind: 'roll-back', because: fault };
  const surroundings = awaitSurroundings(view);
  if (surroundings) return surroundings;
  if (!progress) return enter(view, steps, 0);
  const step = findStep(steps, progress);
  if (!step) return takeUp(view, steps, progress);

  const behind = view.cluster.live.filter((node) => !routesAlike(node.assignment(view.module), step.plan(node)));
  if (behind.length > 0) {
    return {
      kind: 'advance',
      because: whyBehind(view, step, behind),
      assign: behind.map((node) => ({ nodeId: node.id, plan: step.plan(node) })),
      progress: { ...progress, scoutNodeId: step.scoutNodeId },
    };
  }
  const unconfirmed = awaitConfirmation(view, progress.stepStartedAt);
  if (unconfirmed) return unconfirmed;
  const kept = step.keep?.(progress);
  if (kept) return { kind: 'advance', assign: [], ...kept };
  const waiting = view.promotion ? null : rules.waitFor(view, step, confirmedSince(view, progress.stepStartedAt));
  if (waiting) return waiting;
  if (view.heldBack) return hold(view, view.heldBack);
  const next = steps.indexOf(step) + 1;
  if (next < steps.length) return enter(view, steps, next, step.evidence?.());
  return { kind: 'complete', because: reason('completed', `${step.title}: every node runs ${view.target.version}`) };
}

/** The step in hand, if it is still one of these: a new policy may have other shares. */
export function findStep(steps: readonly Step[], { number, targetPercent }: Progress): Step | null {
  const step = steps.find((each) => each.number === number);
  return step && (!step.isShare || step.targetPercent === targetPercent) ? step : null;
}

export function enter(
  view: RolloutView,
  steps: readonly Step[],
  index: number,
  shown: Pick<Reason, 'message' | 'data'> = { message: '', data: {} },
): Decision {
  const step = steps[index];
  if (!step) return { kind: 'complete', because: reason('completed', 'Nothing to do') };
  const { cluster, module, progress } = view;
  const assign = cluster.live
    .filter((node) => !routesAlike(node.assignment(module), step.plan(node)))
    .map((node) => ({ nodeId: node.id, plan: step.plan(node) }));
  const after = shown.message === '' ? '' : `; ${shown.message}`;
  return {
    kind: 'advance',
    because: reason('step', `${step.title} starts on ${assign.length} nodes${after}`, {
      step: step.number,
      targetPercent: step.targetPercent,
      ...shown.data,
    }),
    assign,
    progress: {
      ...progress,
      containedAt: null,
      number: step.number,
      of: steps.at(-1)?.number ?? step.number,
      targetPercent: step.targetPercent,
      stepStartedAt: cluster.now,
      scoutNodeId: step.scoutNodeId,
      exposedAt: progress?.exposedAt ?? (step.targetPercent > 0 ? cluster.now : null),
    },
  };
}

/** A step that is over but for a person's word. */
export function awaitPromotion(view: RolloutView, step: Step): Decision {
  const shown = step.evidence?.();
  const message = `${step.title}: waiting for a person to promote${shown ? `; ${shown.message}` : ''}`;
  return holdForPerson(view, reason('awaiting-promotion', message, { traffic: view.traffic, ...shown?.data }));
}

/** The policy, or the nodes, no longer have the step in hand: the rollout goes on with the first that gives the target at least as much. */
function takeUp(view: RolloutView, steps: readonly Step[], progress: Progress): Decision {
  const { number, targetPercent, stepStartedAt } = progress;
  const unconfirmed = awaitConfirmation(view, stepStartedAt);
  if (unconfirmed) return unconfirmed;
  const index = steps.findIndex((step) => step.targetPercent >= targetPercent && (step.number > 0 || number === 0));
  const entered = enter(view, steps, index < 0 ? steps.length - 1 : index);
  const message = `The steps have changed: step ${number} (${targetPercent} %) is none of them any more. ${entered.because.message}`;
  return { ...entered, because: reason('steps-changed', message, entered.because.data) };
}

function whyBehind({ module, stable, target }: RolloutView, { title }: Step, behind: readonly KernelNode[]): Reason {
  const broken = stable ? behind.filter((node) => node.isBroken(module, stable)) : [];
  const nodes = behind.map(({ id }) => id);
  if (!stable || broken.length === 0) return reason('nodes-joined', `${title}: ${behind.length} more nodes`, { nodes });
  const message = `${title}: ${stable.version} can't run on ${broken.length} nodes, which take ${target.version} whole`;
  return reason('nothing-to-lose', message, { nodes, broken: broken.map(({ id }) => id) });
}

function bake(view: RolloutView, step: Step, since: Instant): Decision | null {
  const { title, bake: limits } = step;
  const baked = elapsed(view, since);
  const isLongEnough = baked >= limits.minimumSeconds * second;
  const isTooLong = baked >= limits.maximumSeconds * second;
  const judged = isJudged(view.policy.guards, view.traffic);
  if (isLongEnough && (judged || isTooLong)) return limits.isManual ? awaitPromotion(view, step) : null;
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
