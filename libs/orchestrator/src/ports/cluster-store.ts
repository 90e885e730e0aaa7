import type { EnvironmentCluster, EnvironmentName, PlannedNode, Policy } from '@hotswap/domain';

export interface VersionedPolicy {
  policy: Policy;
  /** 1 while nobody has changed it. */
  revision: number;
}

export type RemoveOutcome = { kind: 'removed' | 'not-there' } | { kind: 'deployment-in-progress'; id: string };

/** Environments, what they run and how they take new releases. */
export abstract class ClusterStore {
  abstract load(environment: EnvironmentName): Promise<EnvironmentCluster>;
  /** Ids of unfinished deployments that own a module of the environment now, by module. */
  abstract activeDeployments(environment: EnvironmentName): Promise<Map<string, string>>;
  /**
   * The cluster pass's commit, one transaction: writes the plans of modules whose record still has the revision in `cluster` and no owner;
   * others are left out. Answers how many assignments it wrote.
   */
  abstract assign(cluster: EnvironmentCluster, plans: (PlannedNode & { module: string })[]): Promise<number>;
  /**
   * The environment is to run nothing of the module any more, and has nothing to go back to; the cluster pass takes it off the nodes. Refused while
   * an unfinished deployment holds the module there.
   */
  abstract removeModule(environment: EnvironmentName, module: string): Promise<RemoveOutcome>;
  abstract policy(environment: EnvironmentName): Promise<VersionedPolicy>;
  /** Null: `expectedRevision` is not the newest any more, nothing was written. */
  abstract replacePolicy(
    environment: EnvironmentName,
    policy: Policy,
    expectedRevision: number,
  ): Promise<VersionedPolicy | null>;
}
