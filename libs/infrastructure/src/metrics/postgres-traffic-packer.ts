import { TrafficPacker } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';

/** A minute is closed when nobody can still be writing into it: nodes keep what they can't deliver for a minute, and transactions are short. */
const minuteLagSeconds = 180;
/** What comes later than this is in the sums of its time, but is no evidence: it may be of processes that have ended since. */
const evidenceAgeSecondsMax = 5;
/** After an outage, so many minutes are caught up with at a time. */
const minutesMax = 30;

@Injectable()
export class PostgresTrafficPacker extends TrafficPacker {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async pack(): Promise<void> {
    const isDue = await inTransaction(this.dataSource, packBlock);
    for (let packed = 0; isDue && packed < minutesMax && (await inTransaction(this.dataSource, packMinute)); packed++);
  }
}

/**
 * Every sample bears the transaction that wrote it. A block holds those of all transactions that ended since the last one: the lock comes first, so
 * that the statement's snapshot is newer than the last block's. Nothing is missed and nothing is counted twice, in whatever order reports commit.
 */
async function packBlock(manager: EntityManager): Promise<boolean> {
  await manager.query('SET LOCAL synchronous_commit = off');
  const [pack] = await manager.query<{ packed_before: string }[]>(
    'SELECT packed_before::text FROM hotswap.traffic_pack FOR UPDATE SKIP LOCKED',
  );
  if (!pack) return false;
  await manager.query(insertBlock, [pack.packed_before, evidenceAgeSecondsMax]);
  return true;
}

const nodeEntry = `jsonb_build_array(node_id, requests, failures, buckets, counts, latency_sum_seconds, in_flight, cpu_seconds,
  rss_bytes, event_loop_delay_seconds)`;

const insertBlock = `
  WITH horizon AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS before,
      greatest(clock_timestamp()::timestamptz(3), block_at + interval '1 millisecond') AS at
    FROM hotswap.traffic_pack
  ), sample AS (
    SELECT sample.*, latency_buckets AS buckets, latency_counts AS counts
    FROM (
      SELECT *, role AS block_role FROM hotswap.traffic_sample
      UNION ALL
      SELECT *, role || '-probe' FROM hotswap.probe_sample
    ) AS sample, horizon
    WHERE written_by >= $1::xid8 AND written_by < horizon.before
      AND sample.at > now() - $2 * interval '1 second'
      AND EXISTS (
        SELECT FROM hotswap.environment_release AS record
        WHERE record.environment = sample.environment AND record.module = sample.module AND owner_stage_id IS NOT NULL)
  ), block AS (
    INSERT INTO hotswap.traffic_block (at, environment, module, release, version, role, requests, failures, nodes)
    SELECT horizon.at, environment, module, release, version, block_role, sum(requests), sum(failures),
      jsonb_agg(${nodeEntry} ORDER BY node_id, sequence)
    FROM sample, horizon
    GROUP BY horizon.at, environment, module, release, version, block_role
  )
  UPDATE hotswap.traffic_pack SET packed_before = greatest(packed_before, horizon.before), block_at = horizon.at
  FROM horizon`;

/** Answers whether a minute was packed. */
async function packMinute(manager: EntityManager): Promise<boolean> {
  const [pack] = await manager.query<{ minute_at: Date; is_due: boolean }[]>(
    `SELECT greatest(minute_at, date_trunc('minute', now() - interval '1 hour')) AS minute_at,
       minute_at + interval '1 minute' < now() - $1 * interval '1 second' AS is_due
     FROM hotswap.traffic_pack FOR UPDATE SKIP LOCKED`,
    [minuteLagSeconds],
  );
  if (!pack?.is_due) return false;
  await manager.query(insertMinute, [pack.minute_at]);
  await manager.query(`UPDATE hotswap.traffic_pack SET minute_at = $1::timestamptz + interval '1 minute'`, [
    pack.minute_at,
  ]);
  return true;
}

const insertMinute = `
  WITH sample AS MATERIALIZED (
    SELECT * FROM hotswap.traffic_sample WHERE at >= $1::timestamptz AND at < $1::timestamptz + interval '1 minute'
  ), bucket_sum AS (
    SELECT environment, module, release, version, role, node_id, bucket, sum(count) AS count
    FROM sample, unnest(latency_buckets, latency_counts) AS latency (bucket, count)
    GROUP BY environment, module, release, version, role, node_id, bucket
  ), histogram AS (
    SELECT environment, module, release, version, role, node_id,
      array_agg(bucket ORDER BY bucket) AS buckets, array_agg(count ORDER BY bucket) AS counts
    FROM bucket_sum
    GROUP BY environment, module, release, version, role, node_id
  ), node AS (
    SELECT environment, module, release, version, role, node_id, sum(requests) AS requests, sum(failures) AS failures,
      sum(latency_sum_seconds) AS latency_sum_seconds,
      (array_agg(in_flight ORDER BY at DESC))[1] AS in_flight,
      sum(cpu_seconds) AS cpu_seconds,
      (array_agg(rss_bytes ORDER BY at DESC) FILTER (WHERE rss_bytes IS NOT NULL))[1] AS rss_bytes,
      max(event_loop_delay_seconds) AS event_loop_delay_seconds
    FROM sample
    GROUP BY environment, module, release, version, role, node_id
  )
  INSERT INTO hotswap.traffic_minute (at, environment, module, release, version, role, requests, failures, nodes)
  SELECT $1::timestamptz + interval '1 minute', environment, module, release, version, role, sum(requests), sum(failures),
    jsonb_agg(${nodeEntry} ORDER BY node_id)
  FROM node
  LEFT JOIN histogram USING (environment, module, release, version, role, node_id)
  GROUP BY environment, module, release, version, role
  ON CONFLICT DO NOTHING`;
