import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What nodes are to probe, and what came of it: apart from users' traffic, so that nothing that tells of users counts it. */
export class KeepProbes1764000000080 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.node_assignment ADD COLUMN probe jsonb;
      CREATE TABLE hotswap.probe_sample (LIKE hotswap.traffic_sample INCLUDING ALL, FOREIGN KEY (node_id) REFERENCES hotswap.node);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE hotswap.probe_sample;
      DELETE FROM hotswap.traffic_block WHERE role LIKE '%-probe';
      ALTER TABLE hotswap.node_assignment DROP COLUMN probe;
    `);
  }
}
