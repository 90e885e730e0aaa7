import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Traffic by role, packed as it is closed, and what the analysis of a rollout made of it. The packed tables are partitioned by day;
 * `hotswap.keep_traffic_partitions` makes the next days' partitions and drops those past their retention.
 */
export class PackTraffic1764000000040 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE hotswap.traffic_sample
        ADD COLUMN role text NOT NULL DEFAULT 'active' CHECK (role IN ('active', 'candidate', 'twin')),
        ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
        DROP CONSTRAINT traffic_sample_pkey,
        ADD PRIMARY KEY (node_id, boot_id, sequence, module, release, role);
      CREATE INDEX traffic_sample_written_by ON hotswap.traffic_sample (written_by);
      CREATE INDEX traffic_sample_minute ON hotswap.traffic_sample (at);

      CREATE TABLE hotswap.traffic_block (
        at timestamptz(3) NOT NULL,
        environment text NOT NULL,
        module text NOT NULL,
        release text NOT NULL,
        version text NOT NULL,
        role text NOT NULL,
        requests bigint NOT NULL,
        failures bigint NOT NULL,
        nodes jsonb NOT NULL,
        PRIMARY KEY (environment, module, at, release, role)
      ) PARTITION BY RANGE (at);

      CREATE TABLE hotswap.traffic_minute (
        at timestamptz(3) NOT NULL,
        environment text NOT NULL,
        module text NOT NULL,
        release text NOT NULL,
        version text NOT NULL,
        role text NOT NULL,
        requests bigint NOT NULL,
        failures bigint NOT NULL,
        nodes jsonb NOT NULL,
        PRIMARY KEY (environment, at, module, release, role)
      ) PARTITION BY RANGE (at);

      CREATE TABLE hotswap.traffic_pack (
        is_single boolean PRIMARY KEY DEFAULT true CHECK (is_single),
        packed_before xid8 NOT NULL,
        block_at timestamptz(3) NOT NULL,
        minute_at timestamptz(3) NOT NULL
      );
      INSERT INTO hotswap.traffic_pack (packed_before, block_at, minute_at)
      VALUES (pg_current_xact_id(), now(), date_trunc('minute', now()));

      CREATE FUNCTION hotswap.keep_traffic_partitions() RETURNS void LANGUAGE plpgsql AS $$
      DECLARE
        kept record;
        part record;
        day date;
      BEGIN
        FOR kept IN SELECT * FROM (VALUES ('traffic_block', 14), ('traffic_minute', 30)) AS kept (name, days) LOOP
          FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + ahead FROM generate_series(-1, 2) AS ahead LOOP
            EXECUTE format('CREATE TABLE IF NOT EXISTS hotswap.%I PARTITION OF hotswap.%I FOR VALUES FROM (%L) TO (%L)',
              kept.name || '_' || to_char(day, 'YYYYMMDD'), kept.name,
              day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
          END LOOP;
          FOR part IN
            SELECT child.relname AS name FROM pg_inherits
            JOIN pg_class AS child ON child.oid = inhrelid
            WHERE inhparent = format('hotswap.%I', kept.name)::regclass
              AND to_date(right(child.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - kept.days
          LOOP
            EXECUTE format('DROP TABLE hotswap.%I', part.name);
          END LOOP;
        END LOOP;
      END $$;
      SELECT hotswap.keep_traffic_partitions();

      CREATE TABLE hotswap.stage_analysis (
        stage_id uuid PRIMARY KEY REFERENCES hotswap.deployment_stage,
        revision integer NOT NULL CHECK (revision >= 1),
        began_at timestamptz(3) NOT NULL,
        taken_in_until timestamptz(3) NOT NULL,
        parameters jsonb NOT NULL,
        state jsonb NOT NULL,
        standing jsonb
      );

      CREATE TABLE hotswap.stage_analysis_entry (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stage_id uuid NOT NULL REFERENCES hotswap.stage_analysis,
        at timestamptz(3) NOT NULL,
        entry jsonb NOT NULL
      );
      CREATE INDEX stage_analysis_entry_of_stage ON hotswap.stage_analysis_entry (stage_id, id);

      ALTER TABLE hotswap.node_assignment ADD COLUMN twin boolean NOT NULL DEFAULT false;

      UPDATE hotswap.environment SET policy = jsonb_set(policy, '{canary,analysis}',
        '{"twin": true, "bakeSeconds": 900, "inconclusive": "advance", "parameters": {}}')
      WHERE policy -> 'canary' ->> 'analysis' IS NULL;
      UPDATE hotswap.environment SET policy = jsonb_set(policy, '{guards}',
        '{"latencyP99MillisecondsMax": null, "cpuPercentMax": null, "memoryMiBMax": null}' || (policy -> 'guards'));
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      UPDATE hotswap.environment SET policy = policy #- '{canary,analysis}' #- '{guards,latencyP99MillisecondsMax}'
        #- '{guards,cpuPercentMax}' #- '{guards,memoryMiBMax}';
      ALTER TABLE hotswap.node_assignment DROP COLUMN twin;
      DROP TABLE hotswap.stage_analysis_entry, hotswap.stage_analysis, hotswap.traffic_pack, hotswap.traffic_minute, hotswap.traffic_block;
      DROP FUNCTION hotswap.keep_traffic_partitions();
      DROP INDEX hotswap.traffic_sample_minute;
      ALTER TABLE hotswap.traffic_sample DROP CONSTRAINT traffic_sample_pkey;
      DELETE FROM hotswap.traffic_sample WHERE role = 'twin';
      ALTER TABLE hotswap.traffic_sample DROP COLUMN role, DROP COLUMN written_by,
        ADD PRIMARY KEY (node_id, boot_id, sequence, module, release);
    `);
  }
}
