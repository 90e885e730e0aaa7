import {
  finalStatuses,
  type DeploymentView,
  type EnvironmentView,
  type PipelineDecision,
  type Release,
} from '@hotswap/domain';
import { changesSomething, environmentsEnded, eventsOf, isNewRollback, leaseSeconds } from '@hotswap/orchestrator';
import { Logger } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { advanceDocuments, findHolding, lockNodes, writeAssignments } from '../clusters/write-assignments.js';
import { Abandoned, inTransaction } from '../database/in-transaction.js';
import { isConflictOn } from '../database/postgres-error.js';
import { saveReleases } from '../releases.js';
import { traceDecision, traceparentOfDecision } from '../tracing/deployment-trace.js';
import { notifyWake } from '../wake.js';
import { keepExposure } from './keep-exposure.js';
import { writeAnalysis } from './write-analysis.js';
import { writeEvents } from './write-events.js';
import { writeStages } from './write-stages.js';

type CommitOutcome = 'committed' | 'superseded';
/** `decidedAt` is null for one more look at the same wait, which is not kept. */
type Written = { decidedAt: Date | null } | 'superseded';

const logger = new Logger('Rollouts');

/** See the port. The order of the steps is the order of locks that `inTransaction` names. */
export async function commitDecision(
  dataSource: DataSource,
  view: DeploymentView,
  decision: PipelineDecision,
): Promise<CommitOutcome> {
  try {
    const written = await inTransaction(dataSource, (manager) => write(manager, view, decision));
    if (written === 'superseded') {
      await releaseClaim(dataSource, view);
      return written;
    }
    if (written.decidedAt) traceDecision(view, decision, written.decidedAt.getTime());
    return 'committed';
  } catch (error) {
    if (!isConflictOn('deployment_stage_unfinished', error)) throw error;
    logger.warn(
      `Deployment ${view.deployment.id} can't take a stage back yet: another deployment of ${view.deployment.module} has begun there`,
    );
    return 'superseded';
  }
}

async function write(manager: EntityManager, view: DeploymentView, decision: PipelineDecision): Promise<Written> {
  const isChange = changesSomething(view, decision);
  await writeDeployment(manager, view, decision, isChange);
  if (view.environment) await checkEnvironment(manager, view, view.environment);
  await saveReleases(manager, releasesOf(decision));
  await writeStages(manager, view, decision.stages);
  if (isChange) await keepExposure(manager, view.deployment.id);
  if (view.environment) await writeSlot(manager, view, view.environment, decision);
  const ended = environmentsEnded(view, decision);
  await lockNodes(
    manager,
    decision.assign.map(({ nodeId }) => nodeId),
    ended,
  );
  const holding = await findHolding(manager, view.deployment.module, ended);
  await writeAssignments(manager, toPlans(view, decision));
  await advanceDocuments(manager, holding);
  await requestEvidence(manager, decision);
  if (!(await writeAnalysis(manager, view, decision))) throw new Abandoned<CommitOutcome>('superseded');
  const decidedAt = await keepDecision(manager, view, decision, isChange);
  const events = eventsOf(view, decision);
  await writeEvents(manager, view.deployment.id, events);
  if (isChange || events.length > 0) await notifyWake(manager);
  return { decidedAt };
}

/** A decision that changes nothing keeps the revision: it takes nothing away from anyone who has read the same. */
async function writeDeployment(
  manager: EntityManager,
  view: DeploymentView,
  decision: PipelineDecision,
  isChange: boolean,
): Promise<void> {
  const [, count] = await manager.query<[unknown, number]>(
    `UPDATE hotswap.deployment SET
       status = $3,
       reason = $4,
       rollback_reason = coalesce($5, rollback_reason),
       next_look_at = $6,
       claimed_until = NULL,
       started_at = CASE WHEN $3 = 'Pending' THEN started_at ELSE coalesce(started_at, now()) END,
       finished_at = CASE WHEN $7 THEN now() ELSE NULL END,
       promotion = CASE WHEN $9 THEN NULL ELSE promotion END,
       revision = CASE WHEN $8 THEN revision + 1 ELSE revision END
     WHERE id = $1 AND revision = $2 AND now() - $10::timestamptz <= $11 * interval '1 second'`,
    [
      view.deployment.id,
      view.deployment.revision,
      decision.status,
      JSON.stringify(decision.because),
      isNewRollback(view, decision) ? JSON.stringify(decision.rollbackReason) : null,
      isFinal(decision) || decision.recheckAt === null ? null : new Date(decision.recheckAt),
      isFinal(decision),
      isChange,
      decision.usesPromotion,
      new Date(view.now),
      leaseSeconds,
    ],
  );
  if (count === 0) throw new Abandoned<Written>('superseded');
}

async function checkEnvironment(
  manager: EntityManager,
  { revisions }: DeploymentView,
  { record }: EnvironmentView,
): Promise<void> {
  const [environment] = await manager.query<{ policy_revision: number; membership_revision: number }[]>(
    'SELECT policy_revision, membership_revision FROM hotswap.environment WHERE name = $1 FOR SHARE',
    [record.environment],
  );
  const [current] = await manager.query<{ revision: number }[]>(
    'SELECT revision FROM hotswap.environment_release WHERE environment = $1 AND module = $2 FOR UPDATE',
    [record.environment, record.module],
  );
  const isUnmoved =
    environment?.policy_revision === revisions.policy &&
    environment.membership_revision === revisions.membership &&
    (current?.revision ?? 0) === revisions.record;
  if (!isUnmoved) throw new Abandoned<Written>('superseded');
}

async function writeSlot(
  manager: EntityManager,
  { revisions }: DeploymentView,
  { record }: EnvironmentView,
  { slot }: PipelineDecision,
): Promise<void> {
  if (!slot) return;
  const written = await manager.query<unknown[]>(
    `INSERT INTO hotswap.environment_release AS record (environment, module, release, previous, owner_stage_id, revision)
     VALUES ($1, $2, $3, $4, $5, 1)
     ON CONFLICT (environment, module) DO UPDATE SET
       release = excluded.release,
       previous = excluded.previous,
       owner_stage_id = excluded.owner_stage_id,
       revision = record.revision + 1
     WHERE record.revision = $6
     RETURNING revision`,
    [
      record.environment,
      record.module,
      slot.release?.digest ?? null,
      slot.previous?.digest ?? null,
      slot.ownerStageId,
      revisions.record,
    ],
  );
  if (written.length === 0) throw new Abandoned<Written>('superseded');
}

async function requestEvidence(manager: EntityManager, { evidence }: PipelineDecision): Promise<void> {
  if (evidence.length === 0) return;
  await manager.query(
    `INSERT INTO hotswap.evidence (stage_id, kind, subject, status, data, requested_at, deadline_at)
     SELECT "stageId", kind, subject, 'Requested', coalesce(data, '{}'), now(), now() + "deadlineSeconds" * interval '1 second'
     FROM jsonb_to_recordset($1) AS request ("stageId" uuid, kind text, subject text, data jsonb, "deadlineSeconds" double precision)
     ON CONFLICT (stage_id, kind, subject) DO NOTHING`,
    [JSON.stringify(evidence)],
  );
}

/**
 * Keeps every decision that changed something, and every other one whose kind or code is not the newest one's: a wait is kept once. Answers when,
 * or null.
 */
async function keepDecision(
  manager: EntityManager,
  view: DeploymentView,
  decision: PipelineDecision,
  isChange: boolean,
): Promise<Date | null> {
  const [kept] = await manager.query<{ at: Date }[]>(
    `INSERT INTO hotswap.decision (deployment_id, stage_id, at, kind, because, changes, revisions)
     SELECT $1::uuid, $2::uuid, now(), $3::text, $4::jsonb, $5::jsonb, $6::jsonb
     WHERE $7 OR NOT EXISTS (
       SELECT FROM (SELECT kind, because FROM hotswap.decision WHERE deployment_id = $1 ORDER BY id DESC LIMIT 1) AS newest
       WHERE newest.kind = $3 AND newest.because ->> 'code' = $4::jsonb ->> 'code')
     RETURNING at`,
    [
      view.deployment.id,
      decision.stageId,
      decision.kind,
      JSON.stringify(decision.because),
      JSON.stringify(describeChanges(decision)),
      JSON.stringify({ deployment: view.deployment.revision, ...view.revisions }),
      isChange,
    ],
  );
  return kept?.at ?? null;
}

/** A decision's writes with releases as digests: their contents are in `release`. */
function describeChanges({ status, stages, slot, assign, evidence }: PipelineDecision): object {
  return {
    status,
    evidence,
    stages: stages.map((stage) => ({ ...stage, from: stage.from?.digest, to: stage.to?.digest })),
    slot: slot && { ...slot, release: slot.release?.digest ?? null, previous: slot.previous?.digest ?? null },
    assign: assign.map(({ nodeId, plan }) => ({
      nodeId,
      active: plan.active?.digest ?? null,
      candidate: plan.candidate?.digest ?? null,
      candidatePercent: plan.candidatePercent,
      ...(plan.probe && { probe: plan.probe }),
    })),
  };
}

function releasesOf({ stages, slot, assign }: PipelineDecision): (Release | null)[] {
  return [
    ...stages.flatMap(({ from, to }) => [from ?? null, to ?? null]),
    ...(slot ? [slot.release, slot.previous] : []),
    ...assign.flatMap(({ plan }) => [plan.active, plan.candidate, plan.fallback, ...plan.warm]),
  ];
}

function toPlans(view: DeploymentView, { assign }: PipelineDecision) {
  const traceparent = traceparentOfDecision(view);
  return assign.map((planned) => ({ ...planned, module: view.deployment.module, traceparent }));
}

/** Whoever comes next may look at once. Where every look takes too long nothing is ever decided: that must not go unsaid. */
async function releaseClaim(dataSource: DataSource, { deployment, now }: DeploymentView): Promise<void> {
  const [released] = await dataSource.query<[{ now: Date }[], number]>(
    'UPDATE hotswap.deployment SET claimed_until = NULL WHERE id = $1 AND revision = $2 RETURNING now()',
    [deployment.id, deployment.revision],
  );
  const lookedSeconds = ((released[0]?.now.getTime() ?? now) - now) / 1000;
  if (lookedSeconds > leaseSeconds)
    logger.warn(
      `Deployment ${deployment.id}: a look took ${lookedSeconds.toFixed(1)} s and was dropped after ${leaseSeconds} s; the database is slow, or this process is`,
    );
}

function isFinal({ status }: PipelineDecision): boolean {
  return finalStatuses.includes(status);
}
