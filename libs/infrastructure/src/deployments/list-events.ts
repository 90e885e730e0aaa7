import { finalStatuses, type DeploymentStatus } from '@hotswap/domain';
import type { DeploymentEvent, DeploymentStore, Page, PageRequest } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { decodeCursor, toPage } from '../cursor.js';
import { deploymentEventEntity } from '../entities/deployment-event.js';
import { deploymentEntity } from '../entities/deployment.js';

/** A deployment's story, oldest first; null: no such deployment. Throws CursorError. */
export async function listEvents(
  manager: EntityManager,
  deploymentId: string,
  page: PageRequest,
): Promise<Page<DeploymentEvent> | null> {
  const afterCursor = page.cursor === null ? 0 : Number(decodeCursor(page.cursor, [/^\d{1,15}$/])[0]);
  const rows = await manager
    .createQueryBuilder(deploymentEventEntity, 'event')
    .where('event.deploymentId = :deploymentId', { deploymentId })
    .andWhere('event.id > :afterCursor', { afterCursor })
    .orderBy('event.id')
    .take(page.limit + 1)
    .getMany();
  if (rows.length === 0 && !(await exists(manager, deploymentId))) return null;
  return toPage(rows, page, ({ id }) => [id]);
}

/** See the port. One statement: the status is of the moment of the events. */
export async function eventsAfter(
  manager: EntityManager,
  deploymentId: string,
  afterId: number,
  limit: number,
): ReturnType<DeploymentStore['eventsAfter']> {
  const rows = await manager.query<({ status: DeploymentStatus } & (DeploymentEvent | { id: null }))[]>(
    `SELECT status, event.id::float8 AS id, at, type, stage, environment, message, data
     FROM hotswap.deployment
     LEFT JOIN LATERAL (
       SELECT * FROM hotswap.deployment_event
       WHERE deployment_id = deployment.id AND id > $2
       ORDER BY id
       LIMIT $3
     ) AS event ON true
     WHERE deployment.id = $1
     ORDER BY event.id`,
    [deploymentId, afterId, limit],
  );
  if (!rows[0]) return null;
  const events = rows.flatMap(({ status: _status, ...event }) => (event.id === null ? [] : [event]));
  return { events, isOver: events.length < limit && finalStatuses.includes(rows[0].status) };
}

function exists(manager: EntityManager, id: string): Promise<boolean> {
  return manager.createQueryBuilder(deploymentEntity, 'deployment').where('deployment.id = :id', { id }).getExists();
}
