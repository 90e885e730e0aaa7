import {
  compareDocuments,
  isLaterBoot,
  type ModuleReport,
  type NodeReport,
  type TrafficSample,
} from '@hotswap/agent-protocol';
import type { ReportOutcome } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { Abandoned, inTransaction } from '../database/in-transaction.js';
import { notifyWake } from '../wake.js';
import { adoptEpoch } from './adopt-epoch.js';
import { insertStateChange } from './state-change.js';

/** See the port. Only a node whose state changes, or that knows more than this database, costs more than its own rows. */
export async function keepReport(dataSource: DataSource, nodeId: string, report: NodeReport): Promise<ReportOutcome> {
  const kept = await inTransaction(dataSource, (manager) => write(manager, nodeId, report));
  if (kept === 'moved') return keepReport(dataSource, nodeId, report);
  if (kept.unknownEpoch !== null) await raiseEpoch(dataSource, nodeId, kept.unknownEpoch);
  return kept.outcome;
}

interface NodeRow {
  environment: string;
  boot_id: string;
  reported_state: string;
  is_repeated: boolean;
  decommissioned_at: Date | null;
  epoch: number;
  revision: number;
}

type Kept = { outcome: ReportOutcome; unknownEpoch: number | null };

/** `moved`: another report changed the node's state in between; nothing was written. */
async function write(manager: EntityManager, nodeId: string, report: NodeReport): Promise<Kept | 'moved'> {
  await manager.query('SET LOCAL synchronous_commit = off');
  const seen = await readNode(manager, nodeId, report, false);
  const refusal = refuse(seen, report);
  if (refusal || !seen) return { outcome: refusal ?? 'unknown-node', unknownEpoch: null };
  if (seen.reported_state !== report.state) await bumpMembership(manager, seen.environment);
  const node = await readNode(manager, nodeId, report, true);
  const newRefusal = refuse(node, report);
  if (newRefusal || !node) return { outcome: newRefusal ?? 'unknown-node', unknownEpoch: null };
  if (node.reported_state !== seen.reported_state) throw new Abandoned('moved');
  await manager.query(updateNode, [
    nodeId,
    report.state,
    report.accepted?.epoch ?? null,
    report.accepted?.revision ?? null,
    report.refused,
    report.sequence,
    report.bootId,
  ]);
  await writeObservations(manager, nodeId, report.modules);
  await writeSamples(manager, 'traffic_sample', nodeId, node.environment, report, report.traffic);
  await writeSamples(manager, 'probe_sample', nodeId, node.environment, report, report.probes ?? []);
  return { outcome: 'accepted', unknownEpoch: unknownEpochOf(node, report) };
}

async function readNode(
  manager: EntityManager,
  nodeId: string,
  report: NodeReport,
  isLocked: boolean,
): Promise<NodeRow | undefined> {
  const [node] = await manager.query<NodeRow[]>(
    `SELECT environment, boot_id, reported_state, report_sequence >= $2 AS is_repeated, decommissioned_at,
       document_epoch AS epoch, document_revision AS revision
     FROM hotswap.node WHERE id = $1 ${isLocked ? 'FOR NO KEY UPDATE' : ''}`,
    [nodeId, report.sequence],
  );
  return node;
}

function refuse(node: NodeRow | undefined, report: NodeReport): ReportOutcome | null {
  if (!node) return 'unknown-node';
  if (node.decommissioned_at) return 'decommissioned';
  // A later boot than the registered one is no copy: this database was restored from before it joined.
  if (node.boot_id !== report.bootId) return isLaterBoot(report.bootId, node.boot_id) ? 'unknown-node' : 'fenced';
  return node.is_repeated ? 'repeated' : null;
}

/** The epoch of a document that the node has accepted and this database never wrote; null: it knows of none. */
function unknownEpochOf(node: NodeRow, { accepted, diverged }: NodeReport): number | null {
  if (accepted === null) return null;
  const order = compareDocuments(accepted, node);
  return order > 0 || (order === 0 && diverged) ? accepted.epoch : null;
}

/** Before the node's row, as `inTransaction` orders locks. */
async function bumpMembership(manager: EntityManager, environment: string): Promise<void> {
  await manager.query('UPDATE hotswap.environment SET membership_revision = membership_revision + 1 WHERE name = $1', [
    environment,
  ]);
}

const updateNode = `
  WITH change AS (${insertStateChange('$7', '$2')})
  UPDATE hotswap.node SET
    reported_state = $2,
    accepted_epoch = $3,
    accepted_revision = $4,
    refused = $5,
    report_sequence = $6,
    last_heartbeat_at = now()
  WHERE id = $1`;

async function writeObservations(manager: EntityManager, nodeId: string, modules: ModuleReport[]): Promise<void> {
  await manager.query('DELETE FROM hotswap.node_observation WHERE node_id = $1 AND module <> ALL($2)', [
    nodeId,
    modules.map(({ module }) => module),
  ]);
  if (modules.length > 0) await manager.query(upsertObservations, [nodeId, JSON.stringify(modules)]);
}

const upsertObservations = `
  INSERT INTO hotswap.node_observation AS seen
    (node_id, module, active, candidate, candidate_percent, serving_fallback, instances, since)
  SELECT $1::text, module, active, candidate, "candidatePercent", "servingFallback", instances, now()
  FROM jsonb_to_recordset($2) AS report
    (module text, active text, candidate text, "candidatePercent" double precision, "servingFallback" boolean, instances jsonb)
  ON CONFLICT (node_id, module) DO UPDATE SET
    active = excluded.active,
    candidate = excluded.candidate,
    candidate_percent = excluded.candidate_percent,
    serving_fallback = excluded.serving_fallback,
    instances = excluded.instances,
    since = CASE
      WHEN (seen.active, seen.candidate, seen.candidate_percent)
        IS DISTINCT FROM (excluded.active, excluded.candidate, excluded.candidate_percent) THEN excluded.since
      ELSE seen.since END
  WHERE (seen.active, seen.candidate, seen.candidate_percent, seen.serving_fallback, seen.instances)
    IS DISTINCT FROM (excluded.active, excluded.candidate, excluded.candidate_percent, excluded.serving_fallback, excluded.instances)`;

async function writeSamples(
  manager: EntityManager,
  table: 'traffic_sample' | 'probe_sample',
  nodeId: string,
  environment: string,
  { bootId, sequence, intervalSeconds, ageSeconds }: NodeReport,
  samples: readonly TrafficSample[],
): Promise<void> {
  if (samples.length === 0) return;
  await manager.query(insertInto(table), [
    nodeId,
    bootId,
    sequence,
    environment,
    intervalSeconds,
    JSON.stringify(samples.map(toSparse)),
    ageSeconds ?? 0,
  ]);
}

/** Of the time when it happened: what a node could not deliver for a while is no spike when it comes. */
const insertInto = (table: string) => `
  INSERT INTO hotswap.${table}
    (node_id, boot_id, sequence, environment, at, interval_seconds, module, release, version, role, requests, failures,
     latency_buckets, latency_counts, latency_sum_seconds, in_flight, cpu_seconds, rss_bytes, event_loop_delay_seconds)
  SELECT $1::text, $2::text, $3::bigint, $4::text, now() - $7 * interval '1 second', $5::double precision, module, release, version, coalesce(role, 'active'), requests, failures,
    buckets, counts, "latencySumSeconds", "inFlight", "cpuSeconds", "rssBytes", "eventLoopDelaySeconds"
  FROM jsonb_to_recordset($6) AS sample
    (module text, release text, version text, role text, requests integer, failures integer, buckets smallint[], counts integer[],
     "latencySumSeconds" double precision, "inFlight" integer, "cpuSeconds" double precision, "rssBytes" bigint,
     "eventLoopDelaySeconds" double precision)
  ON CONFLICT DO NOTHING`;

/** Most buckets are empty: only the others are kept. */
function toSparse({ latency, ...sample }: TrafficSample) {
  const buckets = latency.flatMap((count, bucket) => (count > 0 ? [bucket] : []));
  return { ...sample, buckets, counts: buckets.map((bucket) => latency[bucket]) };
}

async function raiseEpoch(dataSource: DataSource, nodeId: string, observedEpoch: number): Promise<void> {
  await inTransaction(dataSource, async (manager) => {
    await adoptEpoch(manager, nodeId, observedEpoch);
    await notifyWake(manager);
  });
}
