import type { DataSource } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { notifyWake } from '../wake.js';

/** See the port. Membership changes first, as `inTransaction` orders locks: what was decided with the node is decided again. */
export function decommissionNode(dataSource: DataSource, nodeId: string): Promise<boolean> {
  return inTransaction(dataSource, async (manager) => {
    await manager.query(
      `UPDATE hotswap.environment SET membership_revision = membership_revision + 1
       WHERE name = (SELECT environment FROM hotswap.node WHERE id = $1 AND decommissioned_at IS NULL)`,
      [nodeId],
    );
    const [, count] = await manager.query<[unknown, number]>(
      'UPDATE hotswap.node SET decommissioned_at = now() WHERE id = $1 AND decommissioned_at IS NULL',
      [nodeId],
    );
    if (count > 0) await notifyWake(manager);
    return count > 0;
  });
}
