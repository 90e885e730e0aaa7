import type { EntityManager } from 'typeorm';

/**
 * Begins to count what users meet of a Deploy stage's target when it is first given requests, and keeps the sums when that is over: when the stage
 * ends, in the target environment when the deployment does. A stage that is taken back later counts on. View `stage_exposure` tells kept and
 * counted together.
 */
export async function keepExposure(manager: EntityManager, deploymentId: string): Promise<void> {
  await manager.query(begin, [deploymentId]);
  await manager.query(keep, [deploymentId]);
}

const isCounted = `(
  stage.status IN ('Running', 'Waiting', 'RollingBack')
  OR (stage.status = 'Succeeded' AND stage.environment = deployment.target_environment AND deployment.finished_at IS NULL))`;

const begin = `
  UPDATE hotswap.deployment_stage AS stage SET exposed_since = CASE
    WHEN exposure_seconds = 0 THEN to_timestamp((progress ->> 'exposedAt')::float8 / 1000)
    ELSE now() END
  FROM hotswap.deployment
  WHERE deployment.id = $1 AND stage.deployment_id = $1 AND stage.name = 'Deploy' AND exposed_since IS NULL
    AND progress ->> 'exposedAt' IS NOT NULL AND ${isCounted}`;

const keep = `
  UPDATE hotswap.deployment_stage AS stage SET
    exposure_seconds = exposure.seconds,
    exposure_requests = exposure.requests,
    exposure_failures = exposure.failures,
    exposed_since = NULL
  FROM hotswap.deployment, hotswap.stage_exposure AS exposure
  WHERE deployment.id = $1 AND stage.deployment_id = $1 AND exposure.stage_id = stage.id
    AND exposed_since IS NOT NULL AND NOT ${isCounted}`;

/** Probes are no traffic of users: they are in the blocks they were evidence in, and needed nowhere else. */
export const pruneProbes = `DELETE FROM hotswap.probe_sample WHERE at < now() - interval '1 hour'`;

/** Ends traffic samples that are older than an hour; those of exposures that go on are added to what is kept of these. */
export const pruneTraffic = `
  WITH pruned AS (
    DELETE FROM hotswap.traffic_sample WHERE at < now() - interval '1 hour'
    RETURNING environment, module, release, at, requests, failures
  ), exposure AS (
    SELECT stage.id, sum(pruned.requests) AS requests, sum(pruned.failures) AS failures
    FROM pruned
    JOIN hotswap.deployment_stage AS stage ON stage.environment = pruned.environment AND stage.module = pruned.module
      AND stage.to_release = pruned.release AND stage.exposed_since <= pruned.at
    GROUP BY stage.id
  )
  UPDATE hotswap.deployment_stage AS stage SET
    exposure_requests = exposure_requests + exposure.requests,
    exposure_failures = exposure_failures + exposure.failures
  FROM exposure
  WHERE exposure.id = stage.id AND exposed_since IS NOT NULL`;
