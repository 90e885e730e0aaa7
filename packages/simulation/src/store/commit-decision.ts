import {
  finalStatuses,
  type DeploymentView,
  type EnvironmentView,
  type PipelineDecision,
  type StageChange,
} from '@hotswap/domain';
import { changesSomething, environmentsEnded, eventsOf, isNewRollback, leaseSeconds } from '@hotswap/orchestrator';
import { Logger } from '@nestjs/common';
import { findOtherUnfinished } from './deployment-rows.js';
import {
  Abandoned,
  recordKey,
  type MemoryDatabase,
  type StageRow,
  type Tables,
  type Writer,
} from './memory-database.js';
import { evidenceKey } from './memory-evidence-store.js';
import { endHolding, writeAssignments } from './write-assignments.js';
import { appendEvents } from './append-events.js';

const logger = new Logger('Rollouts');

/** See the port. */
export function commitDecision(
  database: MemoryDatabase,
  view: DeploymentView,
  decision: PipelineDecision,
): 'committed' | 'superseded' {
  const isOfBefore = database.restoredAt !== null && view.now < database.restoredAt;
  const isUnmoved = database.tables.deployments.get(view.deployment.id)?.revision === view.deployment.revision;
  const outcome = database.transaction((writer) => write(writer, view, decision));
  if (outcome === 'superseded') {
    if (isOfBefore && isUnmoved)
      logger.warn(`Deployment ${view.deployment.id.slice(-4)}: a look from before a restore meets its revision again`);
    releaseClaim(database, view);
    return outcome;
  }
  if (outcome === 'noticed') database.wake();
  return 'committed';
}

type Written = 'superseded' | 'noticed' | 'unnoticed';

function write(writer: Writer, view: DeploymentView, decision: PipelineDecision): Written {
  const isChange = changesSomething(view, decision);
  writeDeployment(writer, view, decision, isChange);
  if (view.environment) checkEnvironment(writer.read, view, view.environment);
  for (const change of decision.stages) writeStage(writer, change);
  checkUnfinished(writer.read, decision);
  if (view.environment) writeSlot(writer, view.environment, decision);
  const { module, traceparent } = view.deployment;
  writeAssignments(
    writer,
    decision.assign.map((planned) => ({ ...planned, module, traceparent })),
  );
  endHolding(writer, module, environmentsEnded(view, decision));
  requestEvidence(writer, decision);
  writeAnalysis(writer, view, decision);
  keepDecision(writer, view, decision, isChange);
  const events = eventsOf(view, decision);
  appendEvents(writer, view.deployment.id, events);
  return isChange || events.length > 0 ? 'noticed' : 'unnoticed';
}

function writeDeployment(writer: Writer, view: DeploymentView, decision: PipelineDecision, isChange: boolean): void {
  const row = writer.read.deployments.get(view.deployment.id);
  const isTooOld = writer.now - view.now > leaseSeconds * 1000;
  if (row?.revision !== view.deployment.revision || isTooOld) throw new Abandoned('superseded' satisfies Written);
  const isFinal = finalStatuses.includes(decision.status);
  writer.set('deployments', row.id, {
    ...row,
    status: decision.status,
    reason: decision.because,
    rollbackReason: isNewRollback(view, decision) ? decision.rollbackReason : row.rollbackReason,
    nextLookAt: isFinal ? null : decision.recheckAt,
    claimedUntil: null,
    startedAt: decision.status === 'Pending' ? row.startedAt : (row.startedAt ?? writer.now),
    finishedAt: isFinal ? writer.now : null,
    promotion: decision.usesPromotion ? null : row.promotion,
    revision: row.revision + (isChange ? 1 : 0),
  });
}

function checkEnvironment(tables: Tables, { revisions }: DeploymentView, { record }: EnvironmentView): void {
  const environment = tables.environments.get(record.environment);
  const current = tables.records.get(recordKey(record.environment, record.module));
  const isUnmoved =
    environment?.policyRevision === revisions.policy &&
    environment.membershipRevision === revisions.membership &&
    (current?.revision ?? 0) === revisions.record;
  if (!isUnmoved) throw new Abandoned('superseded' satisfies Written);
}

function writeStage(
  writer: Writer,
  { stageId, status, reason, strategy, from, to, progress, approval, rollback }: StageChange,
): void {
  const stage = writer.read.stages.get(stageId);
  if (!stage) return;
  const newStatus = status ?? stage.status;
  const isStarted = newStatus !== 'Pending' && newStatus !== 'Skipped';
  writer.set('stages', stageId, {
    ...stage,
    status: newStatus,
    strategy: strategy ?? stage.strategy,
    from: from === undefined ? stage.from : from,
    to: to ?? stage.to,
    progress: progress ?? stage.progress,
    reason: reason ?? stage.reason,
    approval: approval ?? stage.approval,
    rollback: rollback ?? stage.rollback,
    startedAt: isStarted ? (stage.startedAt ?? writer.now) : stage.startedAt,
    finishedAt: finishedAt(stage, newStatus, writer.now),
  });
}

function finishedAt(stage: StageRow, status: StageRow['status'], now: number): number | null {
  const isFinished = status === 'Succeeded' || status === 'Skipped' || status === 'Failed' || status === 'RolledBack';
  if (!isFinished) return null;
  return status === stage.status ? stage.finishedAt : now;
}

/** At most one unfinished Deploy stage per environment and module is not superseded. */
function checkUnfinished(tables: Tables, { stages }: PipelineDecision): void {
  for (const { stageId } of stages)
    if (findOtherUnfinished(tables, tables.stages.get(stageId))) throw new Abandoned('superseded' satisfies Written);
}

function writeSlot(writer: Writer, { record }: EnvironmentView, { slot }: PipelineDecision): void {
  if (!slot) return;
  const { environment, module } = record;
  const key = recordKey(environment, module);
  const revision = (writer.read.records.get(key)?.revision ?? 0) + 1;
  writer.set('records', key, { environment, module, ...slot, revision });
}

function requestEvidence(writer: Writer, { evidence }: PipelineDecision): void {
  for (const { stageId, kind, subject, data, deadlineSeconds } of evidence) {
    const key = evidenceKey({ stageId, kind, subject });
    if (writer.read.evidence.has(key)) continue;
    writer.set('evidence', key, {
      stageId,
      kind,
      subject,
      status: 'Requested',
      message: null,
      data: data ?? {},
      requestedAt: writer.now,
      deadlineAt: writer.now + deadlineSeconds * 1000,
      claimedUntil: null,
    });
  }
}

function writeAnalysis(writer: Writer, view: DeploymentView, { analysis, stageId }: PipelineDecision): void {
  if (!analysis || !stageId) return;
  const kept = writer.read.analyses.get(stageId);
  const revision = kept?.revision ?? 0;
  if (revision !== (view.environment?.analysis?.revision ?? 0)) throw new Abandoned('superseded' satisfies Written);
  const entries = [...(kept?.entries ?? []), ...analysis.entries];
  writer.set('analyses', stageId, { revision: revision + 1, memory: analysis.memory, entries });
}

/** Every decision that changed something, and every other one whose kind or code is not the newest one's. */
function keepDecision(
  writer: Writer,
  { deployment }: DeploymentView,
  { kind, because, stageId }: PipelineDecision,
  isChange: boolean,
): void {
  const newest = writer.read.decisions.findLast(({ deploymentId }) => deploymentId === deployment.id);
  if (!isChange && newest?.kind === kind && newest.because.code === because.code) return;
  writer.append('decisions', { deploymentId: deployment.id, stageId, at: writer.now, kind, because });
}

/** Whoever comes next may look at once. */
function releaseClaim(database: MemoryDatabase, { deployment }: DeploymentView): void {
  database.transaction((writer) => {
    const row = writer.read.deployments.get(deployment.id);
    if (row?.revision === deployment.revision && row.claimedUntil !== null)
      writer.set('deployments', row.id, { ...row, claimedUntil: null });
  });
}
