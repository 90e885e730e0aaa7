import { isoInstant, second, type Instant } from '../instant.js';
import type { KernelNode } from '../kernel-node.js';
import { isCatchingUp, listenedMilliseconds, lostAfterMilliseconds } from '../listening.js';
import { inSeconds, reason, type Reason } from '../reason.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { personHours, withWait, type Wait } from '../rollout/wait.js';

/** How soon a hold that waits for nodes looks again: their reports send no wake-up. */
const lookAgainMilliseconds = 400;

export function hold(view: RolloutView, because: Reason): Decision {
  return { kind: 'hold', because, recheckAt: view.cluster.now + lookAgainMilliseconds };
}

/**
 * Holds for something whose beginning nothing else tells: it is kept in the deployment's reason. After so many seconds, of which only those count in which the
 * rollout was neither paused nor unheard, nor the wait suspended by a freeze, `exit` decides.
 */
export function holdFor(
  view: RolloutView,
  seconds: number,
  because: Reason,
  exit: (because: Reason) => Decision,
  wait: Wait = beginningOf(view, because.code),
): Decision {
  const waitedMilliseconds = elapsed(view, wait.since) - (wait.frozenMilliseconds ?? 0);
  const untilAt = isoInstant(view.cluster.now + seconds * second - waitedMilliseconds);
  const { code, message, data } = because;
  const timed = withWait(reason(code, message, { ...data, waitedMilliseconds, untilAt }), wait);
  return waitedMilliseconds > seconds * second ? exit(timed) : hold(view, timed);
}

/** Holds for a person, a day at most; then the target goes back. Frozen time is none of that day: nothing that people say moves anything in it. */
export function holdForPerson(view: RolloutView, because: Reason): Decision {
  const { now } = view.cluster;
  const { code, since, frozenMilliseconds = 0, frozenAt = now } = beginningOf(view, because.code);
  const wait = {
    code,
    since,
    frozenMilliseconds: frozenMilliseconds + elapsed(view, frozenAt),
    frozenAt: view.isFrozen ? now : undefined,
  };
  const giveUp = ({ message, data }: Reason): Decision => ({
    kind: 'roll-back',
    because: reason('nobody-decided', `Nobody decided within ${personHours} h: ${message}`, {
      ...data,
      waitedFor: because.code,
    }),
  });
  return holdFor(view, personHours * 3600, because, giveUp, wait);
}

function beginningOf({ waiting, cluster }: RolloutView, code: string): Wait {
  return waiting?.code === code ? waiting : { code, since: cluster.now };
}

/** What keeps a rollout from doing anything, good or bad, whatever its strategy. Null: go on. */
export function awaitSurroundings(view: RolloutView): Decision | null {
  const { cluster, policy } = view;
  if (isCatchingUp(cluster.listening, cluster.now)) {
    const because = reason(
      'catching-up',
      'The control plane was away; nodes get 15 s to report before they are judged',
    );
    return hold(view, withWait(because, view.waiting ?? null));
  }
  const lost = cluster.lost.map(({ id }) => id);
  if (lost.length > policy.lostNodesMax) {
    const message = `${lost.length} nodes are silent, at most ${policy.lostNodesMax} may be: waiting for them`;
    return holdForPerson(view, reason('nodes-lost', message, { lost, lostNodesMax: policy.lostNodesMax }));
  }
  if (cluster.live.length > 0) return null;
  const because = reason('no-live-nodes', `${cluster.environment} has no live node to roll out to`);
  return holdFor(view, policy.progressDeadlineSeconds, because, (late) => ({ kind: 'roll-back', because: late }));
}

/** Silent nodes that the rollout goes on without: within what the policy leaves out, and silent for the progress deadline on top. */
export function findExcluded({ cluster, policy, suspensions }: RolloutView): KernelNode[] {
  const limit = lostAfterMilliseconds + policy.progressDeadlineSeconds * second;
  return cluster.lost.filter(
    (node) => listenedMilliseconds(node.facts.lastHeartbeatAt, cluster.now, suspensions) >= limit,
  );
}

/** Milliseconds since then in which the rollout was neither paused nor unheard. */
export function elapsed({ cluster, suspensions }: RolloutView, since: Instant): number {
  return listenedMilliseconds(since, cluster.now, suspensions);
}

/**
 * Holds for live nodes that have not confirmed; null: all have. Each has the policy's progress deadline from when it was asked, from when its process
 * joined, or from when it last did something else; the first that has used it up fails the step.
 */
export function awaitConfirmation(view: RolloutView, stepStartedAt: Instant): Decision | null {
  const { cluster, module, policy, target } = view;
  const waiting = cluster.live.filter((node) => !node.confirms(module));
  if (waiting.length === 0) return null;
  const waited = waiting.map((node) => elapsed(view, askedSince(node, module, stepStartedAt)));
  const waitedMilliseconds = Math.max(...waited);
  const untilAt = isoInstant(cluster.now + policy.progressDeadlineSeconds * second - waitedMilliseconds);
  const unable = waiting.flatMap((node) => {
    const { failureKind, error } = node.failureOf(module, target) ?? {};
    return failureKind ? [{ nodeId: node.id, failureKind, error: error ?? 'no message' }] : [];
  });
  const why = unable[0] ? `. Node ${unable[0].nodeId} (${unable[0].failureKind}): ${unable[0].error}` : '';
  const numbers = {
    waiting: waiting.map(({ id }) => id),
    waitedMilliseconds,
    untilAt,
    ...(unable.length > 0 && { unable }),
  };
  if (waitedMilliseconds > policy.progressDeadlineSeconds * second) {
    const message = `${waiting.length} nodes did not confirm within ${policy.progressDeadlineSeconds} s${why}`;
    return { kind: 'roll-back', because: reason('progress-deadline', message, numbers) };
  }
  const message = `${waiting.length} of ${cluster.live.length} nodes have not confirmed yet, after ${inSeconds(waitedMilliseconds)}${why}`;
  return hold(view, reason('waiting-for-nodes', message, numbers));
}

/** Since when every node has been doing what the step asks; one that joined in its middle does not begin it anew. */
export function confirmedSince(view: RolloutView, stepStartedAt: Instant): Instant {
  const { live } = view.cluster;
  const present = live.filter(({ facts }) => facts.joinedAt <= stepStartedAt);
  const counted = present.length > 0 ? present : live;
  return Math.max(stepStartedAt, ...counted.map((node) => node.observation(view.module)?.since ?? stepStartedAt));
}

function askedSince(node: KernelNode, module: string, stepStartedAt: Instant): Instant {
  const { assignedAt } = node.assignment(module) ?? {};
  return Math.max(stepStartedAt, assignedAt ?? 0, node.facts.joinedAt, node.observation(module)?.since ?? 0);
}
