import { planCluster, type EnvironmentName } from '@hotswap/domain';
import type { ClusterStore } from '../ports/cluster-store.js';

/** The cluster pass: every node that no rollout owns is given what its environment's record says. Answers how many assignments it wrote. */
export async function reconcileCluster(environment: EnvironmentName, store: ClusterStore): Promise<number> {
  const cluster = await store.load(environment);
  const plans = planCluster(cluster);
  return plans.length === 0 ? 0 : store.assign(cluster, plans);
}
