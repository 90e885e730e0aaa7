import { Logger } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { composeDocuments } from '../clusters/write-assignments.js';

const logger = new Logger('NodeRegistry');

/**
 * A node has accepted a newer document than this database holds: it was restored or failed over, and nodes would refuse what it says next.
 * From here on every document is of a later epoch than the node has seen. Does nothing when that is so already. A caller that holds a node's row may
 * meet a deadlock here, and is run again.
 */
export async function adoptEpoch(manager: EntityManager, nodeId: string, observedEpoch: number): Promise<void> {
  const [raised] = await manager.query<[{ epoch: number }[], number]>(
    'UPDATE hotswap.system SET epoch = $1::integer + 1 WHERE epoch <= $1::integer RETURNING epoch',
    [observedEpoch],
  );
  const epoch = raised[0]?.epoch;
  if (epoch === undefined) return;
  const nodes = await manager.query<{ id: string }[]>(
    'SELECT id FROM hotswap.node WHERE decommissioned_at IS NULL ORDER BY id FOR NO KEY UPDATE',
  );
  const nodeIds = nodes.map(({ id }) => id);
  await manager.query(
    `UPDATE hotswap.node SET document_epoch = $1, document_revision = document_revision + 1 WHERE id = ANY($2)`,
    [epoch, nodeIds],
  );
  await manager.query(
    `UPDATE hotswap.node_assignment SET epoch = document_epoch, revision = document_revision
     FROM hotswap.node WHERE node.id = node_id AND node.id = ANY($1)`,
    [nodeIds],
  );
  await composeDocuments(manager, nodeIds);
  logger.warn(
    `Node ${nodeId} has accepted a document of epoch ${observedEpoch} that this database does not know: it was probably restored from an older copy. Epoch ${epoch} is in force now and was written to ${nodeIds.length} nodes; check what the environments run.`,
  );
}
