import { findViolations, type DeploymentView, type Violation } from '@hotswap/domain';
import type { DeploymentPipeline } from '../deployment-pipeline.js';
import type { RolloutStore } from '../ports/rollout-store.js';
import { inTraceOf } from '../traceparent.js';

export type ReconcileOutcome = 'gone' | 'superseded' | 'refused' | 'reconciled';

interface ReconcileMeans {
  store: RolloutStore;
  pipeline: DeploymentPipeline;
  alarm: (violations: Violation[]) => void;
}

/**
 * One look, one decision, one commit. A decision that breaks an invariant writes nothing (`refused`): that is a defect of HotSwap itself, which
 * must not reach the fleet.
 */
export async function reconcileDeployment(id: string, means: ReconcileMeans): Promise<ReconcileOutcome> {
  const view = await means.store.loadView(id);
  if (!view) return 'gone';
  return inTraceOf(view.deployment.traceparent, () => decideAndCommit(view, means));
}

async function decideAndCommit(
  view: DeploymentView,
  { store, pipeline, alarm }: ReconcileMeans,
): Promise<ReconcileOutcome> {
  const decision = pipeline.decide(view);
  const violations = findViolations(view, decision);
  if (violations.length > 0) {
    alarm(violations);
    return 'refused';
  }
  const outcome = await store.commit(view, decision);
  return outcome === 'committed' ? 'reconciled' : 'superseded';
}
