import { environments, type EnvironmentName } from '@hotswap/agent-protocol';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ClusterSummary, OrchestratorClient } from './orchestrator-client.js';

const pollMilliseconds = 500;
const healthyWaitSeconds = 180;

type NodeCounts = Readonly<Record<EnvironmentName, number>>;

/**
 * Prints a line as each environment with nodes becomes Healthy on its releases, those just `deployed` among them; after three minutes
 * it says which are not.
 */
export async function watchClusters(
  client: OrchestratorClient,
  counts: NodeCounts,
  deployed: readonly string[],
  print: (text: string) => void,
  log: Logger,
  abort: AbortSignal,
): Promise<void> {
  const waiting = new Set(environments.filter((environment) => counts[environment] > 0));
  let last: ClusterSummary[] = [];
  await poll(client, healthyWaitSeconds, abort, (clusters) => {
    last = clusters;
    for (const environment of waiting) {
      const cluster = of(clusters, environment);
      if (cluster === undefined || !isSettled(cluster, deployed)) continue;
      waiting.delete(environment);
      print(`${describe(cluster)}\n`);
    }
    return [...waiting];
  });
  if (waiting.size === 0) return print('Every cluster is Healthy.\n');
  for (const environment of waiting) {
    const cluster = of(last, environment);
    log.warn(
      `${cluster ? describe(cluster) : `${environment} is unknown`} after ${healthyWaitSeconds} s: GET ${client.url}/api/v1/clusters/${environment} says more`,
    );
  }
}

function isSettled(cluster: ClusterSummary, deployed: readonly string[]): boolean {
  const runs = (module: string) =>
    cluster.modules.some(
      ({ name, version, activeDeployment }) => name === module && version !== null && activeDeployment === null,
    );
  return cluster.status === 'Healthy' && deployed.every(runs);
}

function describe({ environment, status, nodeCounts, modules }: ClusterSummary): string {
  const releases = modules.map(({ name, version }) => `${name} ${version ?? '(none)'}`).join(', ') || 'no modules';
  return `${environment} is ${status}: ${nodeCounts.healthy} of ${nodeCounts.total} nodes, ${releases}`;
}

/** Looks until nothing is `left`, or the time is up; answers what is left. A look that fails is followed by another. */
async function poll(
  client: OrchestratorClient,
  waitSeconds: number,
  abort: AbortSignal,
  left: (clusters: ClusterSummary[]) => EnvironmentName[],
): Promise<EnvironmentName[]> {
  const until = performance.now() + waitSeconds * 1000;
  let remaining: EnvironmentName[] = [...environments];
  while (performance.now() < until) {
    try {
      remaining = left(await client.clusters());
      if (remaining.length === 0) break;
    } catch {
      abort.throwIfAborted();
    }
    await delay(pollMilliseconds, undefined, { signal: abort });
  }
  return remaining;
}

function of(clusters: readonly ClusterSummary[], environment: EnvironmentName): ClusterSummary | undefined {
  return clusters.find((cluster) => cluster.environment === environment);
}
