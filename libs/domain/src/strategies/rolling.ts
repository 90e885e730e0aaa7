import { isoInstant, second } from '../instant.js';
import type { KernelNode } from '../kernel-node.js';
import { lostAfterMilliseconds } from '../listening.js';
import type { CountOrPercent } from '../policy.js';
import { reason, type Reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { decideDirect } from './direct.js';
import { findFault } from './guard.js';
import { isAssigned, onStable, onTarget } from './plans.js';
import { awaitConfirmation, awaitSurroundings, elapsed, findExcluded, hold } from './readiness.js';
import { chooseBatch, type Fleet } from './zone-spread.js';

/**
 * Batch after batch, so many nodes at a time as maxUnavailable and maxSurge allow, spread over the zones; each node must be ready for a while before it
 * counts. Nodes on which stable can't run go first, all at once: they cost no capacity.
 */
export function decideRolling(view: RolloutView): Decision {
  if (!view.stable) return decideDirect(view);
  const { module, stable, progress } = view;
  const fault = progress ? findFault(view) : null;
  if (fault) return { kind: 'roll-back', because: fault };
  const surroundings = awaitSurroundings(view);
  if (surroundings) return surroundings;

  const { live } = view.cluster;
  const fleet = classify(view);
  const { left, moving } = fleet;
  const newcomers = live.filter((node) => node.assignment(module) === null);
  if (progress && newcomers.length > 0) {
    const because = reason('nodes-joined', `${newcomers.length} new nodes take ${stable.version} until their turn`, {
      nodes: newcomers.map(({ id }) => id),
    });
    return {
      kind: 'advance',
      because,
      assign: newcomers.map(({ id }) => ({ nodeId: id, plan: onStable(stable) })),
      progress,
    };
  }

  const moved = live.length - left.length;
  if (view.heldBack && moved > 0 && moving.length === 0) return hold(view, view.heldBack);
  const broken = left.filter((node) => node.isBroken(module, stable));
  if (broken.length > 0) return nextBatch(view, broken, moved, `, because ${stable.version} can't run there`);
  const free = view.promotion === 'full' ? left.length : capacityOf(view).free;
  const batch = view.promotion === 'full' ? left : chooseBatch(fleet, free);
  if (free > 0 && batch.length > 0) return nextBatch(view, batch, moved);

  // Where there is nothing to give, as when the target is what the nodes run already, the rollout begins all the same: only then its guards and
  // deadlines hold.
  if (!progress) return nextBatch(view, [], moved);
  const waiting = awaitConfirmation(view, progress.stepStartedAt);
  if (waiting) return waiting;
  if (moving.length > 0) return hold(view, minimumReady(view, moving));
  if (left.length > 0) return hold(view, noBudget(view));
  if (view.heldBack) return hold(view, view.heldBack);
  return {
    kind: 'complete',
    because: reason('completed', `All ${live.length} nodes run ${view.target.version}`),
  };
}

/** How many nodes may be away by the policy, how many are, and how many more may go now. */
export function capacityOf(view: RolloutView): { unavailable: number; surge: number; away: number; free: number } {
  const { members, moving, lost } = classify(view);
  const budget = resolveBudget(view.policy.rolling, members.length);
  const away = moving.length + lost.length;
  return { ...budget, away, free: Math.max(0, budget.unavailable + budget.surge - away) };
}

/**
 * How many nodes may be away and how many may be on top at a time, by Kubernetes' rules: surge rounds up, unavailable rounds down, and
 * when both come to zero one may be unavailable. A node takes the new release beside the old one, so both add up to what moves at once.
 */
export function resolveBudget(
  { maxUnavailable, maxSurge }: { maxUnavailable: CountOrPercent; maxSurge: CountOrPercent },
  nodes: number,
): { unavailable: number; surge: number } {
  const surge = resolve(maxSurge, nodes, Math.ceil);
  const unavailable = resolve(maxUnavailable, nodes, Math.floor);
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable };
}

function resolve(value: CountOrPercent, nodes: number, round: (value: number) => number): number {
  return value.endsWith('%') ? round((Number(value.slice(0, -1)) * nodes) / 100) : Number(value);
}

/** Silent nodes count as away until the rollout goes on without them. */
function classify(view: RolloutView): Fleet {
  const { cluster, module, target } = view;
  const excluded = findExcluded(view);
  const lost = cluster.lost.filter((node) => !excluded.includes(node));
  return {
    members: [...cluster.live, ...lost],
    left: cluster.live.filter((node) => !isAssigned(node, module, target)),
    moving: cluster.live.filter((node) => isAssigned(node, module, target) && !isAvailable(view, node)),
    lost,
  };
}

function isAvailable(view: RolloutView, node: KernelNode): boolean {
  const seen = node.observation(view.module);
  if (!seen || !node.confirms(view.module)) return false;
  return view.promotion !== null || elapsed(view, seen.since) >= view.policy.rolling.minimumReadySeconds * second;
}

function minimumReady(view: RolloutView, moving: readonly KernelNode[]): Reason {
  const seconds = view.policy.rolling.minimumReadySeconds;
  const ready = moving.map((node) => elapsed(view, node.observation(view.module)?.since ?? view.cluster.now));
  return reason('minimum-ready', `${moving.length} nodes have run ${view.target.version} for less than ${seconds} s`, {
    minimumReadySeconds: seconds,
    untilAt: isoInstant(view.cluster.now + seconds * second - Math.min(...ready)),
  });
}

/** It ends by itself: the nodes come back, or the rollout goes on without them. */
function noBudget(view: RolloutView): Reason {
  const { lost } = classify(view);
  const limit = lostAfterMilliseconds + view.policy.progressDeadlineSeconds * second;
  const silent = lost.map(({ facts }) => elapsed(view, facts.lastHeartbeatAt));
  return reason(
    'no-budget',
    `${lost.length} silent nodes take up what may be away; after ${view.policy.progressDeadlineSeconds} s the rollout goes on without them`,
    {
      ...capacityOf(view),
      lost: lost.map(({ id }) => id),
      untilAt: isoInstant(view.cluster.now + limit - Math.min(...silent)),
    },
  );
}

function nextBatch(view: RolloutView, batch: readonly KernelNode[], movedBefore: number, why = ''): Decision {
  const { cluster, progress } = view;
  const moved = movedBefore + batch.length;
  const number = (progress?.number ?? 0) + 1;
  return {
    kind: 'advance',
    because: reason(
      'batch',
      `Batch ${number}: ${batch.length} nodes take ${view.target.version}${why}, ${moved} of ${cluster.live.length} then have it`,
      { nodes: batch.map(({ id }) => id), ...resolveBudget(view.policy.rolling, classify(view).members.length) },
    ),
    assign: batch.map((node) => ({ nodeId: node.id, plan: onTarget(view) })),
    progress: {
      ...progress,
      number,
      of: number + Math.ceil((cluster.live.length - moved) / Math.max(1, batch.length)),
      targetPercent: Math.round((100 * moved) / cluster.live.length),
      stepStartedAt: cluster.now,
      scoutNodeId: null,
      exposedAt: progress?.exposedAt ?? cluster.now,
    },
  };
}
