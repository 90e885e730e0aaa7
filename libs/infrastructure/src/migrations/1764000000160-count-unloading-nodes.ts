import type { MigrationInterface, QueryRunner } from 'typeorm';
import { selectNodes } from './1764000000011-create-ops-views.js';

/** A node that still has something of a module that was taken off is not healthy yet. */
export class CountUnloadingNodes1764000000160 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE OR REPLACE VIEW ops.nodes AS ${selectNodes(
        'seen.active IS DISTINCT FROM record.release OR (record.release IS NULL AND jsonb_array_length(seen.instances) > 0)',
      )}`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE OR REPLACE VIEW ops.nodes AS ${selectNodes(
        'record.release IS NOT NULL AND seen.active IS DISTINCT FROM record.release',
      )}`,
    );
  }
}
