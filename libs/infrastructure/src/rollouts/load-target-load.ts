import { latencyBucketSeconds } from '@hotswap/agent-protocol';
import type { EnvironmentName, Guards, Progress, Release, TargetLoad } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';

const cpuWindowSeconds = 30;
const memoryWindowSeconds = 10;

/** What the policy's limits of latency, CPU and memory are held against; undefined where it has none, or before the first step. */
export async function loadTargetLoad(
  manager: EntityManager,
  environment: EnvironmentName,
  target: Release,
  progress: Progress | null,
  { latencyP99MillisecondsMax, cpuPercentMax, memoryMiBMax }: Guards,
): Promise<TargetLoad | undefined> {
  const limits = [latencyP99MillisecondsMax, cpuPercentMax, memoryMiBMax];
  if (!progress || limits.every((limit) => limit === null || limit === undefined)) return undefined;
  const [row] = await manager.query<[TargetLoadRow]>(selectLoad, [
    environment,
    target.module,
    target.digest,
    new Date(progress.stepStartedAt),
    cpuWindowSeconds,
    memoryWindowSeconds,
  ]);
  const { bucket, cpuPercentMax: cpu, memoryBytesMax } = row;
  const highest = latencyBucketSeconds.length - 1;
  return {
    latencyP99Seconds: bucket === null ? null : (latencyBucketSeconds[Math.min(bucket, highest)] ?? null),
    cpuPercentMax: cpu,
    memoryBytesMax,
  };
}

interface TargetLoadRow {
  bucket: number | null;
  cpuPercentMax: number | null;
  memoryBytesMax: number | null;
}

/** CPU counts over a window that is as good as full: a start-up's burst alone is no load. */
const selectLoad = `
  WITH sample AS (
    SELECT * FROM hotswap.traffic_sample
    WHERE environment = $1 AND module = $2 AND release = $3 AND at >= $4
  ), bucket AS (
    SELECT bucket, sum(sum(count)) OVER (ORDER BY bucket) AS up_to, sum(sum(count)) OVER () AS total
    FROM sample, unnest(latency_buckets, latency_counts) AS latency (bucket, count)
    GROUP BY bucket
  ), node AS (
    SELECT sum(interval_seconds) AS seconds, sum(cpu_seconds) AS cpu_seconds
    FROM sample
    WHERE at >= now() - $5 * interval '1 second'
    GROUP BY node_id
  )
  SELECT (SELECT min(bucket)::integer FROM bucket WHERE up_to >= .99 * total) AS bucket,
    (SELECT max(100 * cpu_seconds / seconds) FROM node WHERE seconds >= $5 * .8) AS "cpuPercentMax",
    (SELECT max(rss_bytes)::float8 FROM sample WHERE at >= now() - $6 * interval '1 second') AS "memoryBytesMax"`;
