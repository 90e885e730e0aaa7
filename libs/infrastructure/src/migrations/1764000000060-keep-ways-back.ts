import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * How stages were taken back, since when nodes are asked for what they are asked for, and which of their processes ended unannounced. A stage's strategy
 * may be one that someone else has added.
 */
export class KeepWaysBack1764000000060 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.deployment_stage ADD COLUMN rollback jsonb, DROP CONSTRAINT deployment_stage_strategy_check;
      ALTER TABLE hotswap.node_assignment ADD COLUMN assigned_at timestamptz(3) NOT NULL DEFAULT now();

      CREATE TABLE hotswap.node_death (
        node_id text NOT NULL REFERENCES hotswap.node,
        boot_id text NOT NULL,
        module text NOT NULL,
        release text NOT NULL REFERENCES hotswap.release,
        activated_at timestamptz(3) NOT NULL,
        last_heard_at timestamptz(3) NOT NULL,
        noticed_at timestamptz(3) NOT NULL,
        PRIMARY KEY (node_id, boot_id, module)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE hotswap.node_death;
      ALTER TABLE hotswap.node_assignment DROP COLUMN assigned_at;
      UPDATE hotswap.deployment_stage SET strategy = NULL WHERE strategy NOT IN ('Direct', 'Rolling', 'BlueGreen', 'Canary');
      ALTER TABLE hotswap.deployment_stage DROP COLUMN rollback,
        ADD CONSTRAINT deployment_stage_strategy_check CHECK (strategy IN ('Direct', 'Rolling', 'BlueGreen', 'Canary'));
    `);
  }
}
