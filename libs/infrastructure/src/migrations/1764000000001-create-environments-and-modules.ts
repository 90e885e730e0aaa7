import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Environments, what was published, and what each environment is to run. */
export class CreateEnvironmentsAndModules1764000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hotswap.system (
        is_single boolean PRIMARY KEY DEFAULT true CHECK (is_single),
        epoch integer NOT NULL DEFAULT 1 CHECK (epoch >= 1)
      );
      INSERT INTO hotswap.system DEFAULT VALUES;

      CREATE TABLE hotswap.environment (
        name text PRIMARY KEY CHECK (name IN ('Development', 'QA', 'Staging', 'Production')),
        policy jsonb NOT NULL,
        policy_revision integer NOT NULL DEFAULT 1,
        membership_revision integer NOT NULL DEFAULT 1
      );

      CREATE TABLE hotswap.artifact (
        digest text PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
        bytes bytea NOT NULL,
        size_bytes integer NOT NULL,
        stored_at timestamptz(3) NOT NULL DEFAULT now()
      );
      ALTER TABLE hotswap.artifact ALTER COLUMN bytes SET STORAGE EXTERNAL;

      CREATE TABLE hotswap.signature_bundle (
        artifact text NOT NULL REFERENCES hotswap.artifact,
        digest text NOT NULL,
        bundle jsonb NOT NULL,
        stored_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (artifact, digest)
      );

      CREATE TABLE hotswap.module_version (
        name text NOT NULL,
        version text NOT NULL,
        artifact text NOT NULL REFERENCES hotswap.artifact,
        manifest jsonb NOT NULL,
        signers text[] NOT NULL,
        published_at timestamptz(3) NOT NULL DEFAULT now(),
        withdrawn_at timestamptz(3),
        PRIMARY KEY (name, version)
      );

      CREATE TABLE hotswap.module_configuration (
        module text NOT NULL,
        environment text NOT NULL REFERENCES hotswap.environment,
        revision integer NOT NULL CHECK (revision >= 1),
        "values" jsonb NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (module, environment, revision)
      );

      CREATE TABLE hotswap.release (
        digest text PRIMARY KEY,
        module text NOT NULL,
        version text NOT NULL,
        artifact text NOT NULL REFERENCES hotswap.artifact,
        configuration_revision integer NOT NULL,
        configuration jsonb NOT NULL
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE hotswap.release, hotswap.module_configuration, hotswap.module_version, hotswap.signature_bundle,
        hotswap.artifact, hotswap.environment, hotswap.system;
    `);
  }
}
