import { emptyLatencyHistogram } from '@hotswap/agent-protocol';
import { MetricStore, type MeasuredTraffic, type MetricPoint } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { readClock } from '../database/read-consistently.js';

const pointsMax = 3_600;

@Injectable()
export class PostgresMetricStore extends MetricStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  /** The last half hour by the second, what is older by the minute, for 30 days. Throws RangeError for more than 3,600 points. */
  async read({
    environment,
    from,
    to,
    stepSeconds,
    module,
  }: Parameters<MetricStore['read']>[0]): Promise<MetricPoint[]> {
    const step = stepSeconds ?? (to.getTime() - from.getTime()) / 1000;
    if (step <= 0) return [];
    const pointCount = Math.ceil((to.getTime() - from.getTime()) / 1000 / step);
    if (pointCount > pointsMax) {
      throw new RangeError(`${pointCount} points are more than ${pointsMax}: ask for longer steps or a shorter time`);
    }
    const rows = await this.dataSource.query<SumRow[]>(sumTraffic, [environment, from, to, module, step]);
    return Array.from({ length: pointCount }, (_, index) => ({
      at: new Date(Math.min(from.getTime() + (index + 1) * step * 1000, to.getTime())),
      traffic: rows.filter(({ point }) => point === index).map(toTraffic),
    }));
  }

  async now(): Promise<Date> {
    return new Date(await readClock(this.dataSource.manager));
  }
}

interface SumRow extends Omit<MeasuredTraffic, 'latency'> {
  point: number;
  buckets: number[] | null;
  counts: number[] | null;
}

/**
 * Counts are summed; what is in flight and in memory is the newest sample's; of delays the longest. What is older than half an hour comes from the
 * packed minutes, which by then have been closed.
 */
const sumTraffic = `
  WITH border AS MATERIALIZED (
    SELECT least(minute_at, date_trunc('minute', now() - interval '30 minutes')) AS at FROM hotswap.traffic_pack
  ), closed AS (
    SELECT sample.at, node_id, module, version, role, requests::bigint AS requests, failures::bigint AS failures,
      latency_buckets::integer[] AS buckets, latency_counts::bigint[] AS counts, latency_sum_seconds, in_flight, cpu_seconds, rss_bytes,
      event_loop_delay_seconds
    FROM hotswap.traffic_sample AS sample, border
    WHERE environment = $1 AND sample.at > $2 AND sample.at <= $3 AND sample.at >= border.at AND ($4::text IS NULL OR module = $4)
    UNION ALL
    SELECT minute.at, node ->> 0, module, version, role, (node -> 1)::bigint, (node -> 2)::bigint,
      ARRAY(SELECT bucket::integer FROM jsonb_array_elements_text(nullif(node -> 3, 'null')) AS bucket),
      ARRAY(SELECT count::bigint FROM jsonb_array_elements_text(nullif(node -> 4, 'null')) AS count),
      (node ->> 5)::float8, (node ->> 6)::integer, (node ->> 7)::float8, (node ->> 8)::bigint, (node ->> 9)::float8
    FROM hotswap.traffic_minute AS minute, border, jsonb_array_elements(nodes) AS node
    WHERE environment = $1 AND minute.at > $2 AND minute.at <= $3 AND minute.at <= border.at AND ($4::text IS NULL OR module = $4)
  ), sample AS (
    SELECT *, greatest(ceil(extract(epoch FROM at - $2::timestamptz) / $5) - 1, 0)::integer AS point FROM closed
  ), bucket_sum AS (
    SELECT point, node_id, module, version, role, bucket, sum(count) AS count
    FROM sample, unnest(buckets, counts) AS latency (bucket, count)
    GROUP BY point, node_id, module, version, role, bucket
  ), histogram AS (
    SELECT point, node_id, module, version, role, array_agg(bucket) AS buckets, array_agg(count::float8) AS counts
    FROM bucket_sum
    GROUP BY point, node_id, module, version, role
  ), total AS (
    SELECT point, node_id, module, version, role,
      sum(requests)::float8 AS requests,
      sum(failures)::float8 AS failures,
      sum(latency_sum_seconds) AS latency_sum_seconds,
      (array_agg(in_flight ORDER BY at DESC))[1] AS in_flight,
      sum(cpu_seconds) AS cpu_seconds,
      (array_agg(rss_bytes::float8 ORDER BY at DESC) FILTER (WHERE rss_bytes IS NOT NULL))[1] AS rss_bytes,
      max(event_loop_delay_seconds) AS event_loop_delay_seconds
    FROM sample
    GROUP BY point, node_id, module, version, role
  )
  SELECT point, node_id AS "nodeId", module, version, requests, failures, latency_sum_seconds AS "latencySumSeconds",
    in_flight AS "inFlight", cpu_seconds AS "cpuSeconds", rss_bytes AS "rssBytes",
    event_loop_delay_seconds AS "eventLoopDelaySeconds", buckets, counts
  FROM total
  LEFT JOIN histogram USING (point, node_id, module, version, role)
  ORDER BY point, node_id, module, version, role`;

function toTraffic({ point: _point, buckets, counts, ...sums }: SumRow): MeasuredTraffic {
  const latency = emptyLatencyHistogram();
  buckets?.forEach((bucket, index) => (latency[bucket] = counts?.[index] ?? 0));
  return { ...sums, latency };
}
