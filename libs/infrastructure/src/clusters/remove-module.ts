import type { EnvironmentName } from '@hotswap/domain';
import type { RemoveOutcome } from '@hotswap/orchestrator';
import type { DataSource } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { findUnfinished } from '../deployments/find-unfinished.js';

/** See the port. The record's lock lets whoever would take it for a rollout come first or see the change. */
export function removeModule(
  dataSource: DataSource,
  environment: EnvironmentName,
  module: string,
): Promise<RemoveOutcome> {
  return inTransaction(dataSource, async (manager) => {
    const [record] = await manager.query<{ release: string | null }[]>(
      'SELECT release FROM hotswap.environment_release WHERE environment = $1 AND module = $2 FOR UPDATE',
      [environment, module],
    );
    const holder = await findUnfinished(manager, module, [environment]);
    if (holder) return { kind: 'deployment-in-progress', id: holder };
    if (!record?.release) return { kind: 'not-there' };
    await manager.query(
      `UPDATE hotswap.environment_release SET release = NULL, previous = NULL, revision = revision + 1
       WHERE environment = $1 AND module = $2`,
      [environment, module],
    );
    return { kind: 'removed' };
  });
}
