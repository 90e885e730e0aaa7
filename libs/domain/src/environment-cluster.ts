import type { EnvironmentName } from './environment.js';
import type { Instant } from './instant.js';
import { routesAlike, type KernelNode, type NodePlan } from './kernel-node.js';
import { isHeardSinceGap, type Listening } from './listening.js';
import type { EnvironmentRelease, Release } from './release.js';

export type ClusterStatus = 'Healthy' | 'Progressing' | 'Degraded' | 'Empty';

/** An environment's nodes and what they are to run, as loaded in one consistent read. */
export class EnvironmentCluster {
  /** The nodes that take part: there, and not leaving. */
  readonly live: readonly KernelNode[];

  constructor(
    readonly environment: EnvironmentName,
    /** All that joined and were not decommissioned, ordered by id. */
    readonly nodes: readonly KernelNode[],
    readonly releases: readonly EnvironmentRelease[],
    readonly now: Instant,
    readonly listening: Listening,
  ) {
    this.live = nodes.filter((node) => node.isLive(now, listening));
  }

  get lost(): KernelNode[] {
    return this.nodes.filter((node) => node.state(this.now, this.listening) === 'Lost');
  }

  /** `Healthy`: every node Ready on its release. After a gap `Progressing` until each was heard again (or is lost): what they said before may be over. */
  get status(): ClusterStatus {
    const members = this.nodes.filter((node) => node.state(this.now, this.listening) !== 'Gone');
    if (members.length === 0) return 'Empty';
    if (this.releases.some(({ ownerStageId }) => ownerStageId !== null)) return 'Progressing';
    if (members.every((node) => this.isHealthy(node))) return 'Healthy';
    const isSettling = members.every((node) => this.isHealthy(node) || this.isOnItsWay(node));
    return isSettling ? 'Progressing' : 'Degraded';
  }

  /** Ready, and says that it runs what the environment's record says of every module; said since the control plane last began to listen. */
  isHealthy(node: KernelNode): boolean {
    return (
      node.state(this.now, this.listening) === 'Ready' &&
      isHeardSinceGap(this.listening, node.facts.lastHeartbeatAt, this.now) &&
      this.releases.every(({ module, ownerStageId, release }) => ownerStageId !== null || runs(node, module, release))
    );
  }

  private isOnItsWay(node: KernelNode): boolean {
    const state = node.state(this.now, this.listening);
    if (state !== 'Ready' && state !== 'Starting') return false;
    return this.releases.every(({ module, release }) => !release || !node.failureOf(module, release));
  }
}

/** Says that it runs this release; null: that it has nothing of the module left. */
function runs(node: KernelNode, module: string, release: Release | null): boolean {
  const seen = node.observation(module);
  return release ? seen?.active === release.digest : !seen || (seen.active === null && seen.instances.length === 0);
}

/** What every node that no rollout owns should run of a module. */
export function planOf(record: EnvironmentRelease): NodePlan {
  return { active: record.release, candidate: null, candidatePercent: 0, warm: [], fallback: record.previous };
}

/** The cluster pass: which nodes need which plan so that the environment runs its record. Pure; nodes that already have it are left out. */
export function planCluster(cluster: EnvironmentCluster): { nodeId: string; module: string; plan: NodePlan }[] {
  return cluster.releases
    .filter(({ ownerStageId }) => ownerStageId === null)
    .flatMap((record) =>
      cluster.nodes
        .filter((node) => !isSettledOn(node, record) && !keepsWhatItHas(node, record))
        .map((node) => ({ nodeId: node.id, module: record.module, plan: planOf(record) })),
    );
}

function isSettledOn(node: KernelNode, record: EnvironmentRelease): boolean {
  const wanted = node.assignment(record.module);
  return wanted ? routesAlike(wanted, planOf(record)) : record.release === null;
}

/** Where the record's release can't run, what a node has is better than nothing: it is never sent back to it. */
function keepsWhatItHas(node: KernelNode, { module, release }: EnvironmentRelease): boolean {
  const active = node.assignment(module)?.active;
  return release !== null && active != null && active.digest !== release.digest && node.isBroken(module, release);
}
