import { second, type Instant } from '../instant.js';
import { listenedMilliseconds, type ListeningGap } from '../listening.js';
import { reason, type Reason } from '../reason.js';
import type { RolloutView } from '../rollout/rollout-view.js';

/** A node's process that ends unannounced within this time of activating the target counts against the target. */
export const deadlySeconds = 30;
/** One may be the machine's fault. */
const deathsMin = 2;

interface Death {
  nodeId: string;
  bootId: string;
  activatedAt: Instant;
  lastHeardAt: Instant;
}

/**
 * Processes of nodes that ended within 30 s of activating the target, in this rollout: two of them are its fault, on one node or on two. Those that
 * another process has followed are known as such; of the others, nodes that are lost count by when they were last heard.
 */
export function findBootDeaths(view: RolloutView): Reason | null {
  const { cluster, module, target, startedAt } = view;
  const { gaps } = cluster.listening;
  const followed = cluster.nodes.flatMap(({ id, facts }) =>
    (facts.deaths ?? [])
      .filter((death) => death.module === module && death.release === target.digest && isToldApart(death, gaps))
      .map(({ bootId, activatedAt, lastHeardAt }) => ({ nodeId: id, bootId, activatedAt, lastHeardAt })),
  );
  const lost = cluster.lost.flatMap((node): Death[] => {
    const seen = node.observation(module);
    const { bootId, lastHeartbeatAt } = node.facts;
    if (seen?.active !== target.digest || !isToldApart({ lastHeardAt: lastHeartbeatAt, noticedAt: cluster.now }, gaps))
      return [];
    return [{ nodeId: node.id, bootId, activatedAt: seen.since, lastHeardAt: lastHeartbeatAt }];
  });
  const deaths = [...followed, ...lost].filter(
    ({ activatedAt, lastHeardAt }) => activatedAt >= startedAt && lastHeardAt - activatedAt <= deadlySeconds * second,
  );
  if (deaths.length < deathsMin) return null;
  return reason(
    'target-kills-nodes',
    `${deaths.length} processes of nodes ended within ${deadlySeconds} s of activating ${target.version}`,
    { deaths, deadlySeconds, deathsMin },
  );
}

/** Somebody listened all the while between its last words and its being missed: it was silent because it had ended. */
function isToldApart(
  { lastHeardAt, noticedAt }: { lastHeardAt: Instant; noticedAt: Instant },
  gaps: readonly ListeningGap[],
): boolean {
  return listenedMilliseconds(lastHeardAt, noticedAt, gaps) === Math.max(0, noticedAt - lastHeardAt);
}
