import { compareDocuments, type JoinRequest, type NodeDocument } from '@hotswap/agent-protocol';
import type { JoinOutcome } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { composeDocuments } from '../clusters/write-assignments.js';
import { Abandoned, inTransaction } from '../database/in-transaction.js';
import { notifyWake } from '../wake.js';
import { adoptEpoch } from './adopt-epoch.js';
import { insertDeaths } from './insert-deaths.js';
import { insertStateChange } from './state-change.js';

/** See the port. Every join counts as a change of membership; what an earlier boot said is forgotten. */
export function joinNode(
  dataSource: DataSource,
  request: JoinRequest,
  secretHash: string,
  knownSecretHash: string | null,
): Promise<JoinOutcome> {
  return inTransaction(dataSource, async (manager) => {
    await manager.query(
      'UPDATE hotswap.environment SET membership_revision = membership_revision + 1 WHERE name = $1',
      [request.environment],
    );
    const epoch = await lockEpoch(manager);
    const known = await lockNode(manager, request.nodeId);
    if (known) checkIdentity(known, request, knownSecretHash);
    const state = known?.boot_id === request.bootId ? known.reported_state : 'Starting';
    if (known) await manager.query(insertDeaths, [request.nodeId, request.bootId]);
    await manager.query(insertStateChange('$2', '$3'), [request.nodeId, request.bootId, state]);
    await manager.query(upsertNode, [
      request.nodeId,
      request.environment,
      request.bootId,
      request.pid,
      request.hostname,
      request.address,
      request.zone,
      request.kernelVersion,
      known && knownSecretHash !== null ? known.secret_hash : secretHash,
      request.accepted?.epoch ?? null,
      request.accepted?.revision ?? null,
      epoch,
    ]);
    if (known?.boot_id !== request.bootId) {
      await manager.query('DELETE FROM hotswap.node_observation WHERE node_id = $1', [request.nodeId]);
    }
    if (!known) await composeDocuments(manager, [request.nodeId]);
    const newest = await loadDocument(manager, request.nodeId);
    const isBehind = request.accepted !== null && compareDocuments(request.accepted, newest) > 0;
    if (isBehind) await adoptEpoch(manager, request.nodeId, request.accepted!.epoch);
    await notifyWake(manager);
    return { kind: 'joined', document: isBehind ? await loadDocument(manager, request.nodeId) : newest };
  });
}

interface KnownNode {
  boot_id: string;
  environment: string;
  reported_state: string;
  secret_hash: string;
  decommissioned_at: Date | null;
}

/** Joins and epoch changes take turns. */
async function lockEpoch(manager: EntityManager): Promise<number> {
  const [row] = await manager.query<[{ epoch: number }]>('SELECT epoch FROM hotswap.system FOR UPDATE');
  return row.epoch;
}

async function lockNode(manager: EntityManager, nodeId: string): Promise<KnownNode | undefined> {
  const [node] = await manager.query<KnownNode[]>(
    'SELECT boot_id, environment, reported_state, secret_hash, decommissioned_at FROM hotswap.node WHERE id = $1 FOR NO KEY UPDATE',
    [nodeId],
  );
  return node;
}

function checkIdentity(known: KnownNode, request: JoinRequest, knownSecretHash: string | null): void {
  if (known.decommissioned_at) throw new Abandoned<JoinOutcome>({ kind: 'decommissioned' });
  const isOther = knownSecretHash !== null && knownSecretHash !== known.secret_hash;
  if (isOther || known.environment !== request.environment)
    throw new Abandoned<JoinOutcome>({ kind: 'identity-taken' });
}

const upsertNode = `
  INSERT INTO hotswap.node AS node
    (id, environment, boot_id, pid, hostname, address, zone, kernel_version, reported_state, secret_hash, joined_at,
     last_heartbeat_at, accepted_epoch, accepted_revision, document_epoch, document_revision)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'Starting', $9, now(), now(), $10, $11, $12, 1)
  ON CONFLICT (id) DO UPDATE SET
    boot_id = excluded.boot_id,
    pid = excluded.pid,
    hostname = excluded.hostname,
    address = excluded.address,
    zone = excluded.zone,
    kernel_version = excluded.kernel_version,
    reported_state = CASE WHEN node.boot_id = excluded.boot_id THEN node.reported_state ELSE excluded.reported_state END,
    secret_hash = excluded.secret_hash,
    joined_at = CASE WHEN node.boot_id = excluded.boot_id THEN node.joined_at ELSE excluded.joined_at END,
    last_heartbeat_at = excluded.last_heartbeat_at,
    accepted_epoch = excluded.accepted_epoch,
    accepted_revision = excluded.accepted_revision,
    refused = NULL,
    report_sequence = CASE WHEN node.boot_id = excluded.boot_id THEN node.report_sequence ELSE -1 END`;

async function loadDocument(manager: EntityManager, nodeId: string): Promise<NodeDocument> {
  const [row] = await manager.query<[{ document: NodeDocument }]>(
    `SELECT document FROM hotswap.node
     JOIN hotswap.node_document ON node_id = node.id AND epoch = document_epoch AND revision = document_revision
     WHERE node.id = $1`,
    [nodeId],
  );
  return row.document;
}
