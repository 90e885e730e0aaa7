import type { KernelNode, NodePlan } from '../kernel-node.js';
import type { Release } from '../release.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { isBeyondStable } from './way-back.js';

type Releases = Pick<RolloutView, 'stable' | 'target'>;

/** Stable alone; null = the module is absent. What a node runs before its turn, and after a rollback. */
export function onStable(stable: Release | null): NodePlan {
  return { active: stable, candidate: null, candidatePercent: 0, warm: [], fallback: null };
}

/**
 * Target beside stable with this share of the node's requests, by chance; 0 % = loaded and tested only. With `twin`, a fresh twin of stable takes as
 * large a share. A node on which stable can't run takes the target whole.
 */
export function besideOrWhole(view: RolloutView, node: KernelNode, percent: number, twin = false): NodePlan {
  if (isBeyondStable(view, node)) return onTarget(view);
  const plan = { active: view.stable, candidate: view.target, candidatePercent: percent, warm: [], fallback: null };
  return twin ? { ...plan, twin: percent > 0 && percent <= 50 } : plan;
}

/** Target serves; stable stays warm for the instant way back. */
export function onTarget({ stable, target }: Releases): NodePlan {
  const wayBack = stable && stable.digest !== target.digest ? stable : null;
  return { active: target, candidate: null, candidatePercent: 0, warm: wayBack ? [wayBack] : [], fallback: wayBack };
}

export function isAssigned(node: KernelNode, module: string, release: Release): boolean {
  return node.assignment(module)?.active?.digest === release.digest;
}
