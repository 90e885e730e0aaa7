import type { ApprovalRecord, ApprovalStatus, Page, PageRequest } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { decodeCursor, toPage } from '../cursor.js';

type ApprovalRow = ApprovalRecord & { stageId: string };

/** Newest first. Throws CursorError. */
export async function listApprovals(
  manager: EntityManager,
  status: ApprovalStatus | null,
  page: PageRequest,
): Promise<Page<ApprovalRecord>> {
  const [requestedAt, stageId] =
    page.cursor === null ? [null, null] : decodeCursor(page.cursor, [/^\d{1,15}$/, /^[0-9a-f-]{36}$/]);
  const rows = await manager.query<ApprovalRow[]>(
    `SELECT * FROM (${selectApprovals}) AS approval
     WHERE ($1::text IS NULL OR status = $1)
       AND ($2::float8 IS NULL OR ("requestedAt", "stageId") < ($2::float8, $3::uuid))
     ORDER BY "requestedAt" DESC, "stageId" DESC
     LIMIT $4`,
    [status, requestedAt, stageId, page.limit + 1],
  );
  const { items, nextCursor } = toPage(rows, page, (row) => [row.requestedAt, row.stageId]);
  return { items: items.map(toRecord), nextCursor };
}

/** The approval that this stage has asked for. */
export async function findApproval(manager: EntityManager, stageId: string): Promise<ApprovalRecord> {
  const [row] = await manager.query<ApprovalRow[]>(`${selectApprovals} AND stage.id = $1`, [stageId]);
  if (!row) throw new Error(`Stage ${stageId} has asked for no approval`);
  return toRecord(row);
}

function toRecord({ stageId: _, ...record }: ApprovalRow): ApprovalRecord {
  return record;
}

// What ended before anybody decided, by its time or with its deployment, has expired.
const selectApprovals = `
  SELECT stage.id AS "stageId", deployment.id AS "deploymentId", stage.environment, deployment.module,
    deployment.version, deployment.artifact, deployment.requester_email AS "requesterEmail",
    CASE
      WHEN approval->'verdict'->>'approved' = 'true' THEN 'Approved'
      WHEN approval->'verdict'->>'approved' = 'false' THEN 'Rejected'
      WHEN stage.status = 'Waiting' AND (approval->>'expiresAt')::float8 >= extract(epoch FROM now()) * 1000 THEN 'Pending'
      ELSE 'Expired'
    END AS status,
    (approval->>'requestedAt')::float8 AS "requestedAt", (approval->>'expiresAt')::float8 AS "expiresAt",
    (approval->>'required')::integer AS required, approval->'approvals' AS approvals,
    NULLIF(approval->'verdict', 'null') AS verdict
  FROM hotswap.deployment_stage AS stage
  JOIN hotswap.deployment ON deployment.id = stage.deployment_id
  WHERE stage.name = 'Approval' AND stage.approval IS NOT NULL`;
