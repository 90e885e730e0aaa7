import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A deployment whose place another one takes keeps its nodes until they are taken back, but holds nobody up any more: the successor's stages are
 * written at once, and wait. At most one unfinished Deploy stage per environment and module is not superseded.
 */
export class LetDeploymentsSupersede1764000000020 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.deployment_stage ADD COLUMN is_superseded boolean NOT NULL DEFAULT false;
      DROP INDEX hotswap.deployment_stage_unfinished;
      CREATE UNIQUE INDEX deployment_stage_unfinished ON hotswap.deployment_stage (environment, module)
        WHERE name = 'Deploy' AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack') AND NOT is_superseded;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX hotswap.deployment_stage_unfinished;
      CREATE UNIQUE INDEX deployment_stage_unfinished ON hotswap.deployment_stage (environment, module)
        WHERE name = 'Deploy' AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack');
      ALTER TABLE hotswap.deployment_stage DROP COLUMN is_superseded;
    `);
  }
}
