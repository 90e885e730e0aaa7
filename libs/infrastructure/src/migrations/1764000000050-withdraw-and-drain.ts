import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createNodeSilence } from './1764000000011-create-ops-views.js';

/** Why a version was withdrawn, and which boot of a node is to leave its traffic; one that has left and falls silent is not lost. */
export class WithdrawAndDrain1764000000050 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.module_version ADD COLUMN withdrawal_reason text;
      ALTER TABLE hotswap.node ADD COLUMN drained_boot_id text;
    `);
    await runner.query(createNodeSilence(['Gone', 'Draining']));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(createNodeSilence(['Gone']));
    await runner.query(`
      ALTER TABLE hotswap.node DROP COLUMN drained_boot_id;
      ALTER TABLE hotswap.module_version DROP COLUMN withdrawal_reason;
    `);
  }
}
