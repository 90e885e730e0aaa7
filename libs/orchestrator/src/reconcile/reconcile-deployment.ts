import { findViolations, type Violation } from '@hotswap/domain';
import type { DeploymentPipeline } from '../deployment-pipeline.js';
import type { RolloutStore } from '../ports/rollout-store.js';

export type ReconcileOutcome = 'gone' | 'superseded' | 'refused' | 'reconciled';

/**
 * One look, one decision, one commit. A decision that breaks an invariant writes nothing (`refused`): that is a defect of HotSwap itself, which
 * must not reach the fleet.
 */
export async function reconcileDeployment(
  id: string,
  {
    store,
    pipeline,
    alarm,
  }: { store: RolloutStore; pipeline: DeploymentPipeline; alarm: (violations: Violation[]) => void },
): Promise<ReconcileOutcome> {
  const view = await store.loadView(id);
  if (!view) return 'gone';
  const decision = pipeline.decide(view);
  const violations = findViolations(view, decision);
  if (violations.length > 0) {
    alarm(violations);
    return 'refused';
  }
  const outcome = await store.commit(view, decision);
  return outcome === 'committed' ? 'reconciled' : 'superseded';
}
