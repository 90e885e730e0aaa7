import type { EnvironmentName, Evidence } from '@hotswap/domain';
import { EvidenceStore, type ClaimedEvidence } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { notifyWake } from '../wake.js';

@Injectable()
export class PostgresEvidenceStore extends EvidenceStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async claimRequested(limit: number, leaseSeconds: number): Promise<ClaimedEvidence[]> {
    const [rows] = await this.dataSource.query<[ClaimedRow[], number]>(claimRequested, [limit, leaseSeconds]);
    return rows.map(({ requestedAt, deadlineAt, ...row }) => ({
      ...row,
      requestedAt: requestedAt.getTime(),
      deadlineAt: deadlineAt.getTime(),
    }));
  }

  /** The first answer stays; a later one changes nothing. */
  answer(
    { stageId, kind, subject }: Pick<Evidence, 'stageId' | 'kind' | 'subject'>,
    {
      status,
      message,
      data,
    }: { status: 'Passed' | 'Refused' | 'Unknown'; message: string; data: Record<string, unknown> },
  ): Promise<void> {
    return inTransaction(this.dataSource, async (manager) => {
      await manager.query(lockDeployment, [stageId]);
      const [, count] = await manager.query<[unknown, number]>(
        `UPDATE hotswap.evidence SET status = $4, message = $5, data = $6, answered_at = now(), claimed_until = NULL
         WHERE stage_id = $1 AND kind = $2 AND subject = $3 AND status = 'Requested'`,
        [stageId, kind, subject, status, message, JSON.stringify(data)],
      );
      if (count === 0) return;
      await manager.query(makeDue, [stageId]);
      await notifyWake(manager);
    });
  }
}

interface ClaimedRow extends Omit<ClaimedEvidence, 'requestedAt' | 'deadlineAt'> {
  requestedAt: Date;
  deadlineAt: Date;
  environments: EnvironmentName[];
}

const claimRequested = `
  WITH requested AS MATERIALIZED (
    SELECT evidence.stage_id, kind, subject, deployment_id, deployment.module, deployment.version
    FROM hotswap.evidence
    JOIN hotswap.deployment_stage AS stage ON stage.id = evidence.stage_id
    JOIN hotswap.deployment ON deployment.id = deployment_id AND deployment.finished_at IS NULL
    WHERE evidence.status = 'Requested' AND deadline_at > now()
      AND (evidence.claimed_until IS NULL OR evidence.claimed_until < now())
    ORDER BY requested_at
    LIMIT $1
    FOR NO KEY UPDATE OF evidence SKIP LOCKED)
  UPDATE hotswap.evidence SET claimed_until = now() + $2 * interval '1 second'
  FROM requested
  WHERE (evidence.stage_id, evidence.kind, evidence.subject) = (requested.stage_id, requested.kind, requested.subject)
  RETURNING evidence.stage_id AS "stageId", evidence.kind, evidence.subject, status, message, data,
    requested_at AS "requestedAt", deadline_at AS "deadlineAt", requested.module, requested.version,
    ARRAY(
      SELECT stage.environment FROM hotswap.deployment_stage AS stage
      WHERE stage.deployment_id = requested.deployment_id AND stage.name = 'Deploy' ORDER BY ordinal) AS environments`;

const lockDeployment = `
  SELECT FROM hotswap.deployment
  WHERE id = (SELECT deployment_id FROM hotswap.deployment_stage WHERE id = $1)
  FOR NO KEY UPDATE`;

/** A new revision, so that a decision made without the answer can't put off the next look. */
const makeDue = `
  UPDATE hotswap.deployment SET next_look_at = now(), claimed_until = NULL, revision = revision + 1
  WHERE id = (SELECT deployment_id FROM hotswap.deployment_stage WHERE id = $1) AND finished_at IS NULL`;
