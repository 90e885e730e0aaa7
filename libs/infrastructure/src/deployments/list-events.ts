import type { DeploymentEvent, Page, PageRequest } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { decodeCursor, toPage } from '../cursor.js';
import { deploymentEventEntity } from '../entities/deployment-event.js';
import { deploymentEntity } from '../entities/deployment.js';

/** A deployment's story, oldest first; null: no such deployment. Throws CursorError. */
export async function listEvents(
  manager: EntityManager,
  deploymentId: string,
  page: PageRequest & { afterId?: number },
): Promise<Page<DeploymentEvent> | null> {
  const afterCursor = page.cursor === null ? 0 : Number(decodeCursor(page.cursor, [/^\d{1,15}$/])[0]);
  const rows = await manager
    .createQueryBuilder(deploymentEventEntity, 'event')
    .where('event.deploymentId = :deploymentId', { deploymentId })
    .andWhere('event.id > :afterId', { afterId: Math.max(afterCursor, page.afterId ?? 0) })
    .orderBy('event.id')
    .take(page.limit + 1)
    .getMany();
  if (rows.length === 0 && !(await exists(manager, deploymentId))) return null;
  return toPage(rows, page, ({ id }) => [id]);
}

function exists(manager: EntityManager, id: string): Promise<boolean> {
  return manager.createQueryBuilder(deploymentEntity, 'deployment').where('deployment.id = :id', { id }).getExists();
}
