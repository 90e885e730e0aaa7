import { ClosedLoopLoad, type LoadCounts } from './closed-loop-load.js';
import { deploy, waitForStep } from './deployments.js';
import { moduleName } from './published-module.js';
import { startLocalCluster, type Environment, type LocalCluster } from './local-cluster.js';
import { waitFor } from './wait-for.js';

type Policy = Record<string, unknown>;

const share = { percent: 40, minimumSeconds: 2, maximumSeconds: 4 };
const whole = { percent: 100, minimumSeconds: 0, maximumSeconds: 0 };

/** Far shorter than anybody would want for real users; what is not named stays. */
const quickPolicy: Policy = {
  canary: { scout: { percent: 5, seconds: 1 }, steps: [share, whole] },
  rolling: { minimumReadySeconds: 1 },
  blueGreen: { bakeSeconds: 1 },
  validateSeconds: 2,
};

export const environments: Environment[] = ['Development', 'QA', 'Staging', 'Production'];

/** A cluster on the examples' first versions, with these counts of nodes (one elsewhere), whose rollouts take seconds. */
export async function startDrillCluster(nodes: Partial<Record<Environment, number>> = {}): Promise<LocalCluster> {
  const counts = environments.map((environment) => [
    `HOTSWAP_NODES_${environment.toUpperCase()}`,
    String(nodes[environment] ?? 1),
  ]);
  const cluster = await startLocalCluster({ env: Object.fromEntries(counts) as NodeJS.ProcessEnv });
  for (const environment of environments) await changePolicy(cluster, environment, quickPolicy);
  return cluster;
}

/** Lays the changes over the environment's policy, member by member of each part. */
export async function changePolicy(cluster: LocalCluster, environment: Environment, changes: Policy): Promise<void> {
  const path = `/api/v1/clusters/${environment}/policy`;
  const { body, headers } = await cluster.get<Policy>(path);
  const merged = { ...body };
  for (const [name, change] of Object.entries(changes)) {
    merged[name] = typeof change === 'object' ? { ...(body[name] as object), ...change } : change;
  }
  const { status } = await cluster.put(path, merged, { 'if-match': headers.get('etag') ?? '' });
  if (status !== 200) throw new Error(`The policy of ${environment} was answered ${status}`);
}

/** Deploys to Production, whose canary has begun its share of all nodes then, and does not go on before `letCanaryGoOn`. */
export async function deployToCanaryShare(cluster: LocalCluster, version: string): Promise<string> {
  await changePolicy(cluster, 'Production', { canary: { steps: [{ ...share, pause: true }, whole] } });
  const id = await deploy(cluster, version, 'Production');
  await waitForStep(cluster, id, 'Production', 1);
  return id;
}

export const letCanaryGoOn = (cluster: LocalCluster) => changePolicy(cluster, 'Production', quickPolicy);

/** Waits until every node of every environment is Ready on what its environment is to run. */
export async function waitUntilHealthy(cluster: LocalCluster, of: readonly Environment[] = environments) {
  await waitFor(`${of.join(', ')} to be Healthy`, async () => {
    const { body } = await cluster.get<{ items: { environment: Environment; status: string }[] }>('/api/v1/clusters');
    const others = body.items.filter(({ environment, status }) => of.includes(environment) && status !== 'Healthy');
    return others.length === 0;
  });
}

/** Waits until every node of the environment says that it gives its requests to this version. */
export async function waitForVersion(cluster: LocalCluster, environment: Environment, version: string): Promise<void> {
  await waitFor(`every node of ${environment} to serve ${version}`, async () => {
    const nodes = (await cluster.nodes(environment)).filter(({ state }) => state !== 'Gone');
    return nodes.every(({ state, modules }) => {
      const module = modules.find(({ name }) => name === moduleName);
      return state === 'Ready' && module?.activeVersion === version && module.candidateVersion === null;
    });
  });
}

/** Some 100 requests a second, in all, while `action` runs, which may look at what they have met so far. Answers what they met. */
export async function underLoad(
  addresses: string[],
  action: (soFar: Readonly<LoadCounts>) => Promise<void>,
): Promise<LoadCounts> {
  const load = new ClosedLoopLoad({ addresses, connections: 4, pauseMilliseconds: 35 });
  load.start();
  try {
    await action(load.counts);
  } finally {
    await load.stop();
  }
  if (load.counts.total === 0) throw new Error('Nothing was asked: the drill shows nothing');
  return load.counts;
}

/** What every drill asks of the nodes that it did not hit itself. */
export const untouched = { failed: 0, failures: [] };
