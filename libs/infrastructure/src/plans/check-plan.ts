import { environmentsUpTo } from '@hotswap/domain';
import type { NewDeployment } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { readClock } from '../database/read-consistently.js';
import { loadSituation } from './load-situation.js';

/**
 * Whether the plan that a deployment is to follow still holds. Policies, memberships and records of the environments on its way stay as they are until
 * the transaction ends.
 */
export async function holdsPlan(
  manager: EntityManager,
  wanted: NewDeployment,
  artifact: { artifact: string; isWithdrawn: boolean },
): Promise<boolean> {
  if (!wanted.planRevision) return true;
  const way = environmentsUpTo(wanted.targetEnvironment);
  await manager.query('SELECT FROM hotswap.environment WHERE name = ANY($1) ORDER BY name FOR SHARE', [way]);
  await manager.query(
    `SELECT FROM hotswap.environment_release WHERE module = $1 AND environment = ANY($2) ORDER BY environment FOR SHARE`,
    [wanted.module, way],
  );
  const { revision } = await loadSituation(manager, wanted, artifact, await readClock(manager));
  return revision === wanted.planRevision;
}
