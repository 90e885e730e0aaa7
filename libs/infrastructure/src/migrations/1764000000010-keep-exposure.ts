import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What users met of the releases that deployments brought: counted while it goes on, kept when it is over. */
export class KeepExposure1764000000010 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.deployment_stage
        ADD COLUMN exposed_since timestamptz(3),
        ADD COLUMN exposure_seconds double precision NOT NULL DEFAULT 0,
        ADD COLUMN exposure_requests bigint NOT NULL DEFAULT 0,
        ADD COLUMN exposure_failures bigint NOT NULL DEFAULT 0;
      CREATE INDEX deployment_stage_exposed ON hotswap.deployment_stage (environment, module) WHERE exposed_since IS NOT NULL;

      CREATE VIEW hotswap.stage_exposure AS
      SELECT stage.id AS stage_id, stage.deployment_id,
        exposure_seconds + greatest(0, extract(epoch FROM statement_timestamp() - exposed_since))::float8 AS seconds,
        exposure_requests + live.requests AS requests,
        exposure_failures + live.failures AS failures
      FROM hotswap.deployment_stage AS stage
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(failures), 0)::bigint AS failures
        FROM hotswap.traffic_sample AS sample
        WHERE sample.environment = stage.environment AND sample.at >= stage.exposed_since
          AND sample.module = stage.module AND sample.release = stage.to_release
      ) AS live
      WHERE stage.name = 'Deploy';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP VIEW hotswap.stage_exposure;
      ALTER TABLE hotswap.deployment_stage DROP COLUMN exposed_since, DROP COLUMN exposure_seconds,
        DROP COLUMN exposure_requests, DROP COLUMN exposure_failures;
    `);
  }
}
