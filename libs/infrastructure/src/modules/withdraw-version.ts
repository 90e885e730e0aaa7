import type { ModuleVersion } from '@hotswap/orchestrator';
import type { DataSource } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { notifyWake } from '../wake.js';
import { findVersion } from './publish-version.js';

/** See the port. */
export function withdrawVersion(
  dataSource: DataSource,
  name: string,
  version: string,
  reason: string,
): Promise<ModuleVersion | null> {
  return inTransaction(dataSource, async (manager) => {
    await manager.query(wakeDeploymentsOf, [name, version]);
    const [, count] = await manager.query<[unknown, number]>(
      `UPDATE hotswap.module_version SET withdrawn_at = now(), withdrawal_reason = $3
       WHERE name = $1 AND version = $2 AND withdrawn_at IS NULL`,
      [name, version, reason],
    );
    if (count > 0) await notifyWake(manager);
    return findVersion(manager, name, version);
  });
}

/** A look that began before loses: it knows nothing of the withdrawal, and would say when to look again. */
const wakeDeploymentsOf = `
  UPDATE hotswap.deployment SET next_look_at = now(), claimed_until = NULL, revision = revision + 1
  WHERE id IN (
    SELECT id FROM hotswap.deployment
    WHERE module = $1 AND version = $2 AND next_look_at IS NOT NULL
    ORDER BY id
    FOR NO KEY UPDATE)`;
