import { environments, type EnvironmentName } from '@hotswap/agent-protocol';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ClusterSummary, Deployment, OrchestratorClient } from './orchestrator-client.js';

const pollMilliseconds = 500;
const healthyWaitSeconds = 180;

type NodeCounts = Readonly<Record<EnvironmentName, number>>;

/**
 * Prints a line as each environment with nodes becomes Healthy on its releases, those just deployed among them, and one when all are
 * and the deployments have ended, so that the next one is not refused; after three minutes it says what is missing.
 */
export async function watchClusters(
  client: OrchestratorClient,
  counts: NodeCounts,
  deployments: readonly Deployment[],
  print: (text: string) => void,
  log: Logger,
  abort: AbortSignal,
): Promise<void> {
  const deployed = deployments.map(({ moduleName }) => moduleName);
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
  if (waiting.size === 0) {
    await waitForDeployments(client, deployments, log, abort);
    return print('Every cluster is Healthy.\n');
  }
  for (const environment of waiting) {
    const cluster = of(last, environment);
    log.warn(
      `${cluster ? describe(cluster) : `${environment} is unknown`} after ${healthyWaitSeconds} s: GET ${client.url}/api/v1/clusters/${environment} says more`,
    );
  }
}

/** A deployment goes on for a while after its last cluster runs the release: that is validated. */
async function waitForDeployments(
  client: OrchestratorClient,
  deployments: readonly Deployment[],
  log: Logger,
  abort: AbortSignal,
): Promise<void> {
  const until = performance.now() + healthyWaitSeconds * 1000;
  for (const { id, moduleName, version } of deployments) {
    let seen: Deployment | null = null;
    while (seen?.finishedAt == null && performance.now() < until) {
      seen = await client.deployment(id).catch(() => null);
      abort.throwIfAborted();
      if (seen?.finishedAt == null) await delay(pollMilliseconds, undefined, { signal: abort });
    }
    if (seen?.status !== 'Succeeded') {
      log.warn(
        `the deployment of ${moduleName} ${version} is ${seen?.status ?? 'unknown'}: ${seen?.reason?.message ?? id}`,
      );
    }
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
