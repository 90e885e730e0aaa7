import { isDeepStrictEqual } from 'node:util';
import type {
  DeploymentStatus,
  DeploymentView,
  EnvironmentName,
  PipelineDecision,
  Reason,
  Stage,
  StageChange,
  StageStatus,
} from '@hotswap/domain';

/** One line of a deployment's story, as it is shown to people. */
export interface NewEvent {
  type: string;
  stage: string | null;
  environment: EnvironmentName | null;
  message: string;
  data: Record<string, unknown>;
}

const typeOfStage: Partial<Record<StageStatus, string>> = {
  Running: 'stage-started',
  Waiting: 'stage-started',
  Succeeded: 'stage-succeeded',
  Skipped: 'stage-skipped',
  Failed: 'stage-failed',
  RollingBack: 'rolling-back',
  RolledBack: 'stage-rolled-back',
};

const typeOfEnd: Partial<Record<DeploymentStatus, string>> = {
  Succeeded: 'succeeded',
  Failed: 'failed',
  RolledBack: 'rolled-back',
  Cancelled: 'cancelled',
  Superseded: 'superseded',
};

/** What a decision changes that people want to read about, in order; a deployment's end is always the last. */
export function eventsOf(view: DeploymentView, decision: PipelineDecision): NewEvent[] {
  return [
    ...decision.stages.flatMap((change) => stageEvents(view, decision, change)),
    ...holdEvents(view, decision),
    ...endEvents(view, decision),
  ];
}

/** True when a decision is more than "still waiting". */
export function changesSomething(view: DeploymentView, decision: PipelineDecision): boolean {
  return (
    decision.status !== view.deployment.status ||
    decision.slot !== null ||
    decision.assign.length > 0 ||
    decision.evidence.length > 0 ||
    decision.usesPromotion ||
    isNewRollback(view, decision) ||
    decision.stages.some((change) => changesStage(view, change))
  );
}

/** A new reason alone is none: a wait tells its numbers anew at every look. */
function changesStage(
  { stages }: DeploymentView,
  { stageId, status, strategy, from, to, progress, approval, rollback }: StageChange,
): boolean {
  const stage = stages.find(({ id }) => id === stageId);
  return (
    (status !== undefined && status !== stage?.status) ||
    (strategy !== undefined && strategy !== stage?.strategy) ||
    (from !== undefined && from?.digest !== stage?.from?.digest) ||
    (to !== undefined && to.digest !== stage?.to?.digest) ||
    (progress !== undefined && !isDeepStrictEqual(progress, stage?.progress)) ||
    (approval !== undefined && !isDeepStrictEqual(approval, stage?.approval)) ||
    (rollback !== undefined && !isDeepStrictEqual(rollback, stage?.rollback))
  );
}

/** Where a Deploy or Validate stage ends: the deployment may hold the module there no more. */
export function environmentsEnded({ stages }: DeploymentView, decision: PipelineDecision): EnvironmentName[] {
  return decision.stages.flatMap(({ stageId, status }) => {
    const stage = stages.find(({ id }) => id === stageId);
    const isEnd = status === 'Succeeded' || status === 'Skipped' || status === 'Failed' || status === 'RolledBack';
    return isEnd && stage?.environment && stage.name !== 'Approval' ? [stage.environment] : [];
  });
}

export function isNewRollback({ deployment }: DeploymentView, { rollbackReason }: PipelineDecision): boolean {
  return rollbackReason !== null && deployment.rollbackReason === null;
}

function stageEvents(view: DeploymentView, decision: PipelineDecision, change: StageChange): NewEvent[] {
  const stage = view.stages.find(({ id }) => id === change.stageId);
  if (!stage) return [];
  const because = change.reason ?? decision.because;
  const events: NewEvent[] = [];
  const type = change.status && change.status !== stage.status ? typeOfStage[change.status] : undefined;
  const isResumed = stage.status === 'Waiting' && change.status === 'Running';
  if (type && !isResumed) events.push(toEvent(type, stage, because));
  if (change.progress && change.progress.number !== stage.progress?.number) {
    events.push(toEvent('step-advanced', stage, because, { ...change.progress }));
  }
  return events;
}

function holdEvents({ deployment, stages }: DeploymentView, { kind, because, stageId }: PipelineDecision): NewEvent[] {
  if (kind !== 'hold' || because.code === deployment.reason.code) return [];
  return [toEvent('holding', stages.find(({ id }) => id === stageId) ?? null, because)];
}

function endEvents({ deployment }: DeploymentView, { status, because }: PipelineDecision): NewEvent[] {
  const type = status === deployment.status ? undefined : typeOfEnd[status];
  return type ? [toEvent(type, null, because)] : [];
}

function toEvent(type: string, stage: Stage | null, because: Reason, extra: Record<string, unknown> = {}): NewEvent {
  return {
    type,
    stage: stage?.name ?? null,
    environment: stage?.environment ?? null,
    message: because.message,
    data: { code: because.code, ...because.data, ...extra },
  };
}
