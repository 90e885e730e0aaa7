import type { KernelNode, NodePlan } from '../kernel-node.js';
import type { Release } from '../release.js';
import type { RolloutView } from '../rollout/rollout-view.js';

type Releases = Pick<RolloutView, 'stable' | 'target'>;

/** Stable alone; null = the module is absent. What a node runs before its turn, and after a rollback. */
export function onStable(stable: Release | null): NodePlan {
  return { active: stable, candidate: null, candidatePercent: 0, warm: [], fallback: null };
}

/** Target beside stable with this share of the requests, and where asked a fresh twin of stable with as large a share. */
export function compared(releases: Releases, percent: number, twin: boolean): NodePlan {
  return { ...beside(releases, percent), twin: twin && percent > 0 && percent <= 50 };
}

/** Target loaded beside stable and given this share of the node's requests, by chance; 0 % = loaded and tested only. */
export function beside({ stable, target }: Releases, percent: number): NodePlan {
  return { active: stable, candidate: target, candidatePercent: percent, warm: [], fallback: null };
}

/** Target serves; stable stays warm for the instant way back. */
export function onTarget({ stable, target }: Releases): NodePlan {
  const wayBack = stable && stable.digest !== target.digest ? stable : null;
  return { active: target, candidate: null, candidatePercent: 0, warm: wayBack ? [wayBack] : [], fallback: wayBack };
}

export function isAssigned(node: KernelNode, module: string, release: Release): boolean {
  return node.assignment(module)?.active?.digest === release.digest;
}
