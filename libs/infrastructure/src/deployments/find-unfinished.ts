import type { EnvironmentName } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';

/**
 * The deployment that holds this module in one of these environments: by an unfinished Deploy stage, or one that is done but not yet validated, and
 * so may still be taken back. Null: none does.
 */
export async function findUnfinished(
  manager: EntityManager,
  module: string,
  environments: readonly EnvironmentName[],
  exceptId: string | null = null,
): Promise<string | null> {
  const [holder] = await manager.query<{ deployment_id: string }[]>(
    `SELECT deployment_id FROM hotswap.deployment_stage
     WHERE name IN ('Deploy', 'Validate') AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack')
       AND module = $1 AND environment = ANY($2) AND deployment_id IS DISTINCT FROM $3
     ORDER BY deployment_id DESC
     LIMIT 1`,
    [module, environments, exceptId],
  );
  return holder?.deployment_id ?? null;
}
