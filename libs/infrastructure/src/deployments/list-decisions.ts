import type { DecisionRecord, Page, PageRequest } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { decodeCursor, toPage } from '../cursor.js';

/** Newest first; null: no such deployment. Throws CursorError. */
export async function listDecisions(
  manager: EntityManager,
  deploymentId: string,
  page: PageRequest,
): Promise<Page<DecisionRecord> | null> {
  const beforeId = page.cursor === null ? null : decodeCursor(page.cursor, [/^\d{1,15}$/])[0];
  const rows = await manager.query<(DecisionRecord | { id: null })[]>(
    `SELECT decision.id::float8 AS id, decision.at, kind, stage.name AS stage, stage.environment, because, changes, revisions
     FROM hotswap.deployment
     LEFT JOIN LATERAL (
       SELECT * FROM hotswap.decision
       WHERE deployment_id = deployment.id AND ($2::bigint IS NULL OR id < $2)
       ORDER BY id DESC
       LIMIT $3
     ) AS decision ON true
     LEFT JOIN hotswap.deployment_stage AS stage ON stage.id = decision.stage_id
     WHERE deployment.id = $1
     ORDER BY decision.id DESC`,
    [deploymentId, beforeId, page.limit + 1],
  );
  if (rows.length === 0) return null;
  const decisions = rows.filter((row): row is DecisionRecord => row.id !== null);
  return toPage(decisions, page, ({ id }) => [id]);
}
