import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Freezes and who breaks the glass, several approvers, and deployments that repeat another one's request. */
export class FreezeAndRetry1764000000070 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.deployment
        ADD COLUMN break_glass jsonb,
        ADD COLUMN retry_of uuid REFERENCES hotswap.deployment;
      UPDATE hotswap.environment
      SET policy = '{"freeze": [], "approval": {"required": 1, "always": false}}' || policy;
      UPDATE hotswap.deployment_stage SET approval = approval || jsonb_build_object('required', 1, 'approvals',
        CASE WHEN approval -> 'verdict' ->> 'approved' = 'true' THEN jsonb_build_array((approval -> 'verdict') - 'approved') ELSE '[]' END)
      WHERE approval IS NOT NULL;

      CREATE VIEW ops.broken_freezes AS
      SELECT decision.at, deployment.id AS deployment_id, deployment.module, deployment.version, stage.environment,
        ARRAY(SELECT jsonb_array_elements_text(because -> 'data' -> 'frozen' -> 'freezes')) AS freezes,
        (because -> 'data' -> 'frozen' ->> 'untilAt')::timestamptz AS frozen_until,
        break_glass ->> 'byEmail' AS broken_by, break_glass ->> 'reason' AS reason, requester_email AS requester,
        deployment.status
      FROM hotswap.decision
      JOIN hotswap.deployment ON deployment.id = decision.deployment_id
      JOIN hotswap.deployment_stage AS stage ON stage.id = decision.stage_id
      WHERE break_glass IS NOT NULL AND because -> 'data' ? 'frozen';
    `);
    await runner.query(
      `COMMENT ON VIEW ops.broken_freezes IS 'Every rollout that began although its environment was frozen, and who answers for it.'`,
    );
    for (const [column, meaning] of Object.entries(columns))
      await runner.query(`COMMENT ON COLUMN ops.broken_freezes.${column} IS '${meaning}'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP VIEW ops.broken_freezes;
      UPDATE hotswap.deployment_stage SET approval = approval - 'required' - 'approvals' WHERE approval IS NOT NULL;
      UPDATE hotswap.environment SET policy = policy - 'freeze' - 'approval';
      ALTER TABLE hotswap.deployment DROP COLUMN break_glass, DROP COLUMN retry_of;
    `);
  }
}

const columns = {
  at: 'When the rollout began.',
  deployment_id: 'The deployment.',
  module: 'Name of the module.',
  version: 'Version that it brings.',
  environment: 'The frozen environment.',
  freezes: 'Names of the freezes that were in force.',
  frozen_until: 'Until when they were.',
  broken_by: 'E-mail address of who broke the glass.',
  reason: 'Why, in their words.',
  requester: 'E-mail address of who asked for the deployment.',
  status: 'Status of the deployment now.',
};
