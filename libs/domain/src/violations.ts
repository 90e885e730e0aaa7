import type { DeploymentView } from './deployment-view.js';
import type { PipelineDecision } from './pipeline-decision.js';
import { findUnsafeMoves } from './rollout/unsafe-moves.js';
import type { Violation } from './violation.js';

/**
 * What must hold of every decision, whatever made it. Checked before every commit in production, in property tests and in the simulation.
 */
export function findViolations(view: DeploymentView, decision: PipelineDecision): Violation[] {
  return [
    ...outsideTheView(view, decision),
    ...wrongReleases(view, decision),
    ...wrongRecord(view, decision),
    ...findUnsafeMoves(view, decision),
  ];
}

function outsideTheView({ environment, stages }: DeploymentView, decision: PipelineDecision): Violation[] {
  const nodeIds = new Set(environment?.cluster.nodes.map(({ id }) => id));
  const strangers = decision.assign.filter(({ nodeId }) => !nodeIds.has(nodeId));
  const stageIds = new Set(stages.map(({ id }) => id));
  return [
    ...strangers.map(({ nodeId }) => ({ rule: 'only nodes of the environment are assigned', detail: nodeId })),
    ...decision.stages
      .filter(({ stageId }) => !stageIds.has(stageId))
      .map(({ stageId }) => ({ rule: 'only stages of the deployment change', detail: stageId })),
  ];
}

function wrongReleases(view: DeploymentView, { assign, stageId }: PipelineDecision): Violation[] {
  const stage = view.stages.find(({ id }) => id === stageId);
  const allowed = new Set([stage?.from?.digest, stage?.to?.digest]);
  return assign.flatMap(({ nodeId, plan }) => {
    const releases = [plan.active, plan.candidate, plan.fallback, ...plan.warm].filter((release) => release !== null);
    const foreign = releases.filter(({ digest }) => !allowed.has(digest));
    const isShare =
      plan.candidatePercent >= 0 &&
      plan.candidatePercent <= 100 &&
      (plan.candidate !== null || plan.candidatePercent === 0);
    return [
      ...foreign.map(({ digest }) => ({
        rule: 'a rollout assigns only where it came from and where it goes',
        detail: `${nodeId}: ${digest}`,
      })),
      ...(isShare
        ? []
        : [{ rule: 'a share is 0-100 % of a candidate', detail: `${nodeId}: ${plan.candidatePercent}` }]),
    ];
  });
}

function wrongRecord(view: DeploymentView, { assign, slot, stageId }: PipelineDecision): Violation[] {
  const record = view.environment?.record;
  const violations: Violation[] = [];
  if (assign.length > 0 && record?.ownerStageId !== stageId) {
    violations.push({
      rule: 'only the owner of the environment assigns',
      detail: `${stageId} against ${record?.ownerStageId}`,
    });
  }
  if (slot && record?.ownerStageId && record.ownerStageId !== stageId) {
    violations.push({
      rule: 'nobody takes the environment from its owner',
      detail: `${stageId} against ${record.ownerStageId}`,
    });
  }
  return violations;
}
