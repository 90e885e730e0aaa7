import type { DataSource } from 'typeorm';
import { composeDocuments } from '../clusters/write-assignments.js';
import { inTransaction } from '../database/in-transaction.js';
import { notifyWake } from '../wake.js';

/** See the port. */
export function drainNode(dataSource: DataSource, nodeId: string): Promise<boolean> {
  return inTransaction(dataSource, async (manager) => {
    const [node] = await manager.query<{ is_drained: boolean }[]>(
      `SELECT drained_boot_id IS NOT DISTINCT FROM boot_id AS is_drained FROM hotswap.node
       WHERE id = $1 AND decommissioned_at IS NULL FOR NO KEY UPDATE`,
      [nodeId],
    );
    if (!node || node.is_drained) return node !== undefined;
    await manager.query(
      'UPDATE hotswap.node SET drained_boot_id = boot_id, document_revision = document_revision + 1 WHERE id = $1',
      [nodeId],
    );
    await composeDocuments(manager, [nodeId]);
    await notifyWake(manager);
    return true;
  });
}
