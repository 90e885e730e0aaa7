import type { EnvironmentName, Release, RolloutTraffic, Stage } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';

const beforeSeconds = 60;

/**
 * What nodes reported of the target, of every other release at the same time, and of all in the minute before the target's first request. Shares of
 * requests are judged step by step; in a rolling update each node gives all its requests to one release, so that its batches count together.
 */
export async function loadTraffic(
  manager: EntityManager,
  environment: EnvironmentName,
  target: Release,
  { strategy, progress }: Pick<Stage, 'strategy' | 'progress'>,
): Promise<RolloutTraffic> {
  const [sums] = await manager.query<[Record<string, number>]>(sumTraffic, [
    environment,
    target.module,
    target.digest,
    toTimestamp(strategy === 'Rolling' ? progress?.exposedAt : progress?.stepStartedAt),
    toTimestamp(progress?.exposedAt),
    beforeSeconds,
  ]);
  const of = (who: keyof RolloutTraffic) => ({
    requests: sums[`${who}_requests`] ?? 0,
    failures: sums[`${who}_failures`] ?? 0,
  });
  return { target: of('target'), stable: of('stable'), before: of('before') };
}

/** Comparisons with a null time are never true: sums of nothing, 0. */
const sumTraffic = `
  SELECT
    coalesce(sum(requests) FILTER (WHERE at >= $4 AND release = $3), 0)::float8 AS target_requests,
    coalesce(sum(failures) FILTER (WHERE at >= $4 AND release = $3), 0)::float8 AS target_failures,
    coalesce(sum(requests) FILTER (WHERE at >= $4 AND release <> $3), 0)::float8 AS stable_requests,
    coalesce(sum(failures) FILTER (WHERE at >= $4 AND release <> $3), 0)::float8 AS stable_failures,
    coalesce(sum(requests) FILTER (WHERE at >= exposed.from_at AND at < $5), 0)::float8 AS before_requests,
    coalesce(sum(failures) FILTER (WHERE at >= exposed.from_at AND at < $5), 0)::float8 AS before_failures
  FROM hotswap.traffic_sample, (SELECT $5::timestamptz - $6 * interval '1 second' AS from_at) AS exposed
  WHERE environment = $1 AND module = $2 AND at >= least($4::timestamptz, exposed.from_at)`;

function toTimestamp(instant: number | null | undefined): Date | null {
  return typeof instant === 'number' ? new Date(instant) : null;
}
