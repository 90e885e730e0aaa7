import { second } from '../instant.js';
import type { KernelNode } from '../kernel-node.js';
import type { CountOrPercent } from '../policy.js';
import { reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { decideDirect } from './direct.js';
import { findFault } from './guard.js';
import { isAssigned, onTarget } from './plans.js';
import { awaitConfirmation, elapsed, findEmptiness, findObstacle, hold } from './readiness.js';

/** Node after node, so many at a time as maxUnavailable and maxSurge allow; each must be ready for a while before the next one goes. */
export function decideRolling(view: RolloutView): Decision {
  if (!view.stable) return decideDirect(view);
  const { cluster, module, target, progress } = view;
  const fault = progress ? findFault(view) : null;
  if (fault) return { kind: 'roll-back', because: fault };
  const obstacle = findObstacle(view);
  if (obstacle) return hold(view, obstacle);
  const empty = findEmptiness(view);
  if (empty) return empty;

  const { live } = cluster;
  const moved = live.filter((node) => isAssigned(node, module, target));
  const moving = moved.filter((node) => !isAvailable(view, node));
  const left = live.filter((node) => !isAssigned(node, module, target));
  const budget = resolveBudget(view.policy.rolling, live.length + cluster.lost.length);
  const free =
    view.promotion === 'full' ? left.length : budget.unavailable + budget.surge - moving.length - cluster.lost.length;
  const isHeldBack = view.heldBack && moved.length > 0 && moving.length === 0;
  if (isHeldBack && view.heldBack) return hold(view, view.heldBack);
  if (left.length > 0 && free > 0) return nextBatch(view, left.slice(0, free), moved.length);
  // Where there is nothing to give, as when the target is what the nodes run already, the rollout begins all the same: only then its guards and
  // deadlines hold.
  if (!progress) return nextBatch(view, [], moved.length);

  const waiting = awaitConfirmation(view, progress.stepStartedAt);
  if (waiting) return waiting;
  if (moving.length > 0) {
    const seconds = view.policy.rolling.minimumReadySeconds;
    return hold(
      view,
      reason('minimum-ready', `${moving.length} nodes have run ${target.version} for less than ${seconds} s`, {
        minimumReadySeconds: seconds,
      }),
    );
  }
  if (left.length > 0) {
    return hold(
      view,
      reason('no-budget', `${cluster.lost.length} silent nodes take up what may be unavailable`, { ...budget }),
    );
  }
  if (view.heldBack) return hold(view, view.heldBack);
  return { kind: 'complete', because: reason('completed', `All ${live.length} nodes run ${target.version}`) };
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

function nextBatch(view: RolloutView, batch: KernelNode[], movedBefore: number): Decision {
  const { cluster, progress } = view;
  const moved = movedBefore + batch.length;
  const number = (progress?.number ?? 0) + 1;
  return {
    kind: 'advance',
    because: reason(
      'batch',
      `Batch ${number}: ${batch.length} nodes take ${view.target.version}, ${moved} of ${cluster.live.length} then have it`,
      {
        nodes: batch.map(({ id }) => id),
      },
    ),
    assign: batch.map((node) => ({ nodeId: node.id, plan: onTarget(view) })),
    progress: {
      number,
      of: number + Math.ceil((cluster.live.length - moved) / Math.max(1, batch.length)),
      targetPercent: Math.round((100 * moved) / cluster.live.length),
      stepStartedAt: cluster.now,
      scoutNodeId: null,
      exposedAt: progress?.exposedAt ?? cluster.now,
    },
  };
}

function isAvailable(view: RolloutView, node: KernelNode): boolean {
  const seen = node.observation(view.module);
  if (!seen || !node.confirms(view.module)) return false;
  return view.promotion !== null || elapsed(view, seen.since) >= view.policy.rolling.minimumReadySeconds * second;
}
