import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Deployments with their stages, requests for evidence, decisions and events, and what each environment runs. */
export class CreateDeployments1764000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hotswap.deployment (
        id uuid PRIMARY KEY,
        module text NOT NULL,
        version text NOT NULL,
        artifact text NOT NULL REFERENCES hotswap.artifact,
        target_environment text NOT NULL REFERENCES hotswap.environment,
        requester_email text NOT NULL,
        description text,
        metadata jsonb NOT NULL,
        require_approval boolean NOT NULL,
        status text NOT NULL CHECK (status IN ('Pending', 'Running', 'AwaitingApproval', 'Paused', 'RollingBack',
          'Succeeded', 'Failed', 'RolledBack', 'Cancelled', 'Superseded')),
        reason jsonb NOT NULL,
        request jsonb,
        paused_at timestamptz(3),
        pauses jsonb NOT NULL DEFAULT '[]',
        promotion text CHECK (promotion IN ('step', 'full')),
        supersedes uuid REFERENCES hotswap.deployment,
        rollback_reason jsonb,
        traceparent text,
        created_at timestamptz(3) NOT NULL,
        started_at timestamptz(3),
        finished_at timestamptz(3),
        revision integer NOT NULL DEFAULT 1,
        next_look_at timestamptz(3),
        claimed_until timestamptz(3),
        FOREIGN KEY (module, version) REFERENCES hotswap.module_version (name, version),
        CHECK (next_look_at IS NULL OR status NOT IN ('Succeeded', 'Failed', 'RolledBack', 'Cancelled', 'Superseded'))
      );
      CREATE INDEX deployment_due ON hotswap.deployment (next_look_at) WHERE next_look_at IS NOT NULL;
      CREATE INDEX deployment_newest ON hotswap.deployment (created_at DESC, id DESC);
      CREATE INDEX deployment_newest_of_module ON hotswap.deployment (module, created_at DESC, id DESC);

      CREATE TABLE hotswap.deployment_stage (
        id uuid PRIMARY KEY,
        deployment_id uuid NOT NULL REFERENCES hotswap.deployment,
        ordinal smallint NOT NULL,
        name text NOT NULL CHECK (name IN ('Verify', 'Approval', 'Deploy', 'Validate')),
        module text NOT NULL,
        environment text REFERENCES hotswap.environment,
        strategy text CHECK (strategy IN ('Direct', 'Rolling', 'BlueGreen', 'Canary')),
        status text NOT NULL CHECK (status IN ('Pending', 'Running', 'Waiting', 'Succeeded', 'Skipped', 'Failed',
          'RollingBack', 'RolledBack')),
        started_at timestamptz(3),
        finished_at timestamptz(3),
        from_release text REFERENCES hotswap.release,
        to_release text REFERENCES hotswap.release,
        progress jsonb,
        approval jsonb,
        reason jsonb,
        nodes jsonb,
        UNIQUE (deployment_id, ordinal),
        CHECK ((name = 'Verify') = (environment IS NULL))
      );
      CREATE UNIQUE INDEX deployment_stage_unfinished ON hotswap.deployment_stage (environment, module)
        WHERE name = 'Deploy' AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack');

      CREATE TABLE hotswap.environment_release (
        environment text NOT NULL REFERENCES hotswap.environment,
        module text NOT NULL,
        release text REFERENCES hotswap.release,
        previous text REFERENCES hotswap.release,
        owner_stage_id uuid REFERENCES hotswap.deployment_stage,
        revision integer NOT NULL CHECK (revision >= 1),
        PRIMARY KEY (environment, module)
      );
      CREATE INDEX environment_release_of_module ON hotswap.environment_release (module);

      CREATE TABLE hotswap.idempotency_key (
        key text PRIMARY KEY,
        body_digest text NOT NULL,
        deployment_id uuid NOT NULL REFERENCES hotswap.deployment DEFERRABLE INITIALLY DEFERRED,
        created_at timestamptz(3) NOT NULL DEFAULT now()
      );

      CREATE TABLE hotswap.evidence (
        stage_id uuid NOT NULL REFERENCES hotswap.deployment_stage,
        kind text NOT NULL CHECK (kind IN ('signature')),
        subject text NOT NULL,
        status text NOT NULL CHECK (status IN ('Requested', 'Passed', 'Refused')),
        message text,
        data jsonb NOT NULL,
        requested_at timestamptz(3) NOT NULL,
        deadline_at timestamptz(3) NOT NULL,
        answered_at timestamptz(3),
        claimed_until timestamptz(3),
        PRIMARY KEY (stage_id, kind, subject)
      );
      CREATE INDEX evidence_requested ON hotswap.evidence (requested_at) WHERE status = 'Requested';

      CREATE TABLE hotswap.decision (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        deployment_id uuid NOT NULL REFERENCES hotswap.deployment,
        stage_id uuid REFERENCES hotswap.deployment_stage,
        at timestamptz(3) NOT NULL,
        kind text NOT NULL,
        because jsonb NOT NULL,
        changes jsonb NOT NULL,
        revisions jsonb NOT NULL
      );
      CREATE INDEX decision_of_deployment ON hotswap.decision (deployment_id, id);

      CREATE TABLE hotswap.deployment_event (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        deployment_id uuid NOT NULL REFERENCES hotswap.deployment,
        at timestamptz(3) NOT NULL,
        type text NOT NULL,
        stage text,
        environment text,
        message text NOT NULL,
        data jsonb NOT NULL
      );
      CREATE INDEX deployment_event_of_deployment ON hotswap.deployment_event (deployment_id, id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE hotswap.deployment_event, hotswap.decision, hotswap.evidence, hotswap.idempotency_key,
        hotswap.environment_release, hotswap.deployment_stage, hotswap.deployment;
    `);
  }
}
