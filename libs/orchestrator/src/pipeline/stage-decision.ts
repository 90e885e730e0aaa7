import type {
  DeploymentStatus,
  DeploymentView,
  Instant,
  PipelineDecision,
  Reason,
  Stage,
  StageChange,
  StageStatus,
} from '@hotswap/domain';

/** A decision that changes nothing yet but moves on at once; what it writes is added by the caller. */
export function advance(view: DeploymentView, stage: Stage, because: Reason): PipelineDecision {
  return {
    kind: 'advance',
    because,
    stageId: stage.id,
    status: view.deployment.status === 'RollingBack' ? 'RollingBack' : 'Running',
    rollbackReason: view.deployment.rollbackReason,
    stages: [],
    slot: null,
    assign: [],
    evidence: [],
    usesPromotion: false,
    recheckAt: view.now,
  };
}

/** Nothing to do now; says why and when to look again. */
export function hold(
  view: DeploymentView,
  stage: Stage,
  stageStatus: StageStatus,
  status: DeploymentStatus,
  because: Reason,
  recheckAt: Instant | null,
): PipelineDecision {
  return {
    ...advance(view, stage, because),
    kind: 'hold',
    status,
    stages: [{ stageId: stage.id, status: stageStatus, reason: because }],
    recheckAt,
  };
}

export function completeStage(
  view: DeploymentView,
  stage: Stage,
  because: Reason,
  change: Omit<StageChange, 'stageId' | 'reason'>,
): PipelineDecision {
  return {
    ...advance(view, stage, because),
    kind: 'complete-stage',
    stages: [{ stageId: stage.id, reason: because, ...change }],
  };
}

/** Nodes were, or may have been, given something by this Deploy stage. */
export function isTouched(stage: Stage): boolean {
  return stage.progress !== null && (stage.status === 'Running' || stage.status === 'Succeeded');
}

export function isUnfinished({ status }: Stage): boolean {
  return status === 'Pending' || status === 'Running' || status === 'Waiting';
}
