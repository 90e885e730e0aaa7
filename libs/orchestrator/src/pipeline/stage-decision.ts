import {
  frozenTimes,
  type DeploymentStatus,
  type DeploymentView,
  type EnvironmentView,
  type Instant,
  type ListeningGap,
  type PipelineDecision,
  type Reason,
  type RolloutView,
  type Stage,
  type StageChange,
  type StageStatus,
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

/** What the strategy sees of a Deploy stage that has started; for the way back, `stable` is where it came from. */
export function rolloutView(view: DeploymentView, stage: Stage): RolloutView {
  const { cluster, policy, target, traffic, analysis } = environmentOf(view);
  return {
    module: view.deployment.module,
    policy,
    cluster,
    stable: stage.from,
    target: stage.to ?? target,
    startedAt: stage.startedAt ?? view.now,
    progress: stage.progress,
    traffic,
    analysis,
    suspensions: suspensionsOf(view),
    promotion: view.deployment.promotion,
    isPaused: view.deployment.pausedAt !== null,
  };
}

/** Pauses of the deployment, times without anyone listening, and freezes that hold rollouts. */
export function suspensionsOf({ deployment, environment, now }: DeploymentView): ListeningGap[] {
  const underWay = deployment.pausedAt === null ? [] : [{ from: deployment.pausedAt, to: now }];
  const holding = (environment?.policy.freeze ?? []).filter(({ runningRollouts }) => runningRollouts === 'hold');
  const frozen = deployment.breakGlass ? [] : frozenTimes(holding, deployment.createdAt, now);
  return [...(environment?.cluster.listening.gaps ?? []), ...deployment.pauses, ...underWay, ...frozen];
}

export function environmentOf(view: DeploymentView): EnvironmentView {
  if (!view.environment)
    throw new Error(`Deployment ${view.deployment.id}: a stage with an environment was loaded without it`);
  return view.environment;
}

/** Nodes were, or may have been, given something by this Deploy stage. */
export function isTouched(stage: Stage): boolean {
  return stage.progress !== null && (stage.status === 'Running' || stage.status === 'Succeeded');
}

export function isUnfinished({ status }: Stage): boolean {
  return status === 'Pending' || status === 'Running' || status === 'Waiting';
}
