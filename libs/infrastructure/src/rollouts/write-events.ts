import type { NewEvent } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';

/** Appends to a deployment's story. The caller holds the deployment's row, so that ids rise in the order of the commits. */
export async function writeEvents(
  manager: EntityManager,
  deploymentId: string,
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  await manager.query(
    `INSERT INTO hotswap.deployment_event (deployment_id, at, type, stage, environment, message, data)
     SELECT $1::uuid, now(), type, stage, environment, message, data
     FROM ROWS FROM (jsonb_to_recordset($2) AS (type text, stage text, environment text, message text, data jsonb))
       WITH ORDINALITY AS event (type, stage, environment, message, data, ordinal)
     ORDER BY ordinal`,
    [deploymentId, JSON.stringify(events)],
  );
}
