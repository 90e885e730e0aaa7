import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Each document that is composed asks whether a deployment holds the module in the node's environment. */
export class FindHeldStages1764000000170 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE INDEX deployment_stage_held ON hotswap.deployment_stage (environment, module)
       WHERE name IN ('Deploy', 'Validate') AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack')`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX hotswap.deployment_stage_held');
  }
}
