import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Evidence from outside: checks, and answers that are neither good nor bad. */
export class AskOutside1764000000041 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.evidence
        DROP CONSTRAINT evidence_kind_check,
        DROP CONSTRAINT evidence_status_check,
        ADD CONSTRAINT evidence_kind_check CHECK (kind IN ('signature', 'check')),
        ADD CONSTRAINT evidence_status_check CHECK (status IN ('Requested', 'Passed', 'Refused', 'Unknown'));
      UPDATE hotswap.environment SET policy = '{"checks": []}' || policy;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      UPDATE hotswap.environment SET policy = policy - 'checks';
      DELETE FROM hotswap.evidence WHERE kind = 'check' OR status = 'Unknown';
      ALTER TABLE hotswap.evidence
        DROP CONSTRAINT evidence_kind_check,
        DROP CONSTRAINT evidence_status_check,
        ADD CONSTRAINT evidence_kind_check CHECK (kind IN ('signature')),
        ADD CONSTRAINT evidence_status_check CHECK (status IN ('Requested', 'Passed', 'Refused'));
    `);
  }
}
