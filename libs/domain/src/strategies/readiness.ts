import { inSeconds, reason, type Reason } from '../reason.js';
import { isCatchingUp, listenedMilliseconds } from '../listening.js';
import { isoInstant, second, type Instant } from '../instant.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';

/** How soon a hold that waits for nodes looks again: their reports send no wake-up. */
const lookAgainMilliseconds = 400;

export function hold(view: RolloutView, because: Reason): Decision {
  return { kind: 'hold', because, recheckAt: view.cluster.now + lookAgainMilliseconds };
}

/** What keeps a rollout from doing anything, good or bad, whatever its strategy. Null: go on. */
export function findObstacle(view: RolloutView): Reason | null {
  const { cluster, policy } = view;
  if (isCatchingUp(cluster.listening, cluster.now)) {
    return reason('catching-up', 'The control plane was away; nodes get 15 s to report before they are judged');
  }
  const lost = cluster.lost.map(({ id }) => id);
  if (lost.length > policy.lostNodesMax) {
    return reason(
      'nodes-lost',
      `${lost.length} nodes are silent, at most ${policy.lostNodesMax} may be: waiting for them`,
      {
        lost,
        lostNodesMax: policy.lostNodesMax,
      },
    );
  }
  return null;
}

/** The first look: is there anything to roll out to? */
export function findEmptiness(view: RolloutView): Decision | null {
  if (view.cluster.live.length > 0) return null;
  const because = reason('no-live-nodes', `${view.cluster.environment} has no live node to roll out to`);
  return isOverdue(view, view.startedAt) ? { kind: 'roll-back', because } : hold(view, because);
}

/** Milliseconds since then in which the rollout was neither paused nor unheard. */
export function elapsed({ cluster, suspensions }: RolloutView, since: Instant): number {
  return listenedMilliseconds(since, cluster.now, suspensions);
}

/** Nodes were given the policy's progress deadline since then. */
export function isOverdue(view: RolloutView, since: Instant): boolean {
  return elapsed(view, since) > view.policy.progressDeadlineSeconds * second;
}

/** Holds for live nodes that have not confirmed, until the deadline; null: all have. */
export function awaitConfirmation(view: RolloutView, since: Instant): Decision | null {
  const nodes = view.cluster.live.filter((node) => !node.confirms(view.module));
  const waiting = nodes.map(({ id }) => id);
  if (waiting.length === 0) return null;
  const waitedMilliseconds = elapsed(view, since);
  const untilAt = isoInstant(view.cluster.now + view.policy.progressDeadlineSeconds * second - waitedMilliseconds);
  const numbers = { waiting, waitedMilliseconds, untilAt };
  if (isOverdue(view, since)) {
    const because = reason(
      'progress-deadline',
      `${waiting.length} nodes did not confirm within ${view.policy.progressDeadlineSeconds} s`,
      numbers,
    );
    return { kind: 'roll-back', because };
  }
  const message = `${waiting.length} of ${view.cluster.live.length} nodes have not confirmed yet, after ${inSeconds(numbers.waitedMilliseconds)}`;
  const unable = nodes.flatMap((node) => {
    const { failureKind, error } = node.failureOf(view.module, view.target) ?? {};
    return error ? [{ nodeId: node.id, failureKind, error }] : [];
  });
  const [first] = unable;
  if (first === undefined) return hold(view, reason('waiting-for-nodes', message, numbers));
  const why = `${message}. Node ${first.nodeId} (${first.failureKind}): ${first.error}`;
  return hold(view, reason('waiting-for-nodes', why, { ...numbers, unable }));
}

/** Since when every live node has been doing what the step asks. */
export function confirmedSince(view: RolloutView, stepStartedAt: Instant): Instant {
  return Math.max(
    stepStartedAt,
    ...view.cluster.live.map((node) => node.observation(view.module)?.since ?? stepStartedAt),
  );
}
