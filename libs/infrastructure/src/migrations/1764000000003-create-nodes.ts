import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Nodes: what was asked of them, what they say, what their modules experienced, and when someone listened. */
export class CreateNodes1764000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE hotswap.node (
        id text PRIMARY KEY,
        environment text NOT NULL REFERENCES hotswap.environment,
        boot_id text NOT NULL,
        pid integer NOT NULL,
        hostname text NOT NULL,
        address text NOT NULL,
        zone text,
        kernel_version text NOT NULL,
        reported_state text NOT NULL CHECK (reported_state IN ('Starting', 'Ready', 'LameDuck', 'Draining', 'Gone')),
        secret_hash text NOT NULL,
        joined_at timestamptz(3) NOT NULL,
        last_heartbeat_at timestamptz(3) NOT NULL,
        accepted_epoch integer,
        accepted_revision integer,
        refused text,
        report_sequence bigint NOT NULL DEFAULT -1,
        document_epoch integer NOT NULL,
        document_revision integer NOT NULL,
        decommissioned_at timestamptz(3),
        CHECK ((accepted_epoch IS NULL) = (accepted_revision IS NULL))
      ) WITH (fillfactor = 50);
      CREATE INDEX node_of_environment ON hotswap.node (environment, id) WHERE decommissioned_at IS NULL;

      CREATE TABLE hotswap.node_assignment (
        node_id text NOT NULL REFERENCES hotswap.node,
        module text NOT NULL,
        active text REFERENCES hotswap.release,
        candidate text REFERENCES hotswap.release,
        candidate_percent double precision NOT NULL CHECK (candidate_percent BETWEEN 0 AND 100),
        warm text[] NOT NULL,
        fallback text REFERENCES hotswap.release,
        traceparent text,
        epoch integer NOT NULL,
        revision integer NOT NULL,
        PRIMARY KEY (node_id, module)
      );

      CREATE TABLE hotswap.node_document (
        node_id text NOT NULL REFERENCES hotswap.node,
        epoch integer NOT NULL,
        revision integer NOT NULL,
        document jsonb NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (node_id, epoch, revision)
      );

      CREATE TABLE hotswap.node_observation (
        node_id text NOT NULL REFERENCES hotswap.node,
        module text NOT NULL,
        active text,
        candidate text,
        candidate_percent double precision NOT NULL,
        serving_fallback boolean NOT NULL,
        instances jsonb NOT NULL,
        since timestamptz(3) NOT NULL,
        PRIMARY KEY (node_id, module)
      );

      CREATE TABLE hotswap.traffic_sample (
        node_id text NOT NULL REFERENCES hotswap.node,
        boot_id text NOT NULL,
        sequence bigint NOT NULL,
        environment text NOT NULL,
        module text NOT NULL,
        release text NOT NULL,
        version text NOT NULL,
        at timestamptz(3) NOT NULL,
        interval_seconds double precision NOT NULL,
        requests integer NOT NULL,
        failures integer NOT NULL,
        latency_buckets smallint[] NOT NULL,
        latency_counts integer[] NOT NULL,
        latency_sum_seconds double precision NOT NULL,
        in_flight integer NOT NULL,
        cpu_seconds double precision,
        rss_bytes bigint,
        event_loop_delay_seconds double precision,
        PRIMARY KEY (node_id, boot_id, sequence, module, release)
      );
      CREATE INDEX traffic_sample_at ON hotswap.traffic_sample (environment, at);

      CREATE TABLE hotswap.control_plane_beat (
        is_single boolean PRIMARY KEY DEFAULT true CHECK (is_single),
        at timestamptz(3) NOT NULL
      );

      CREATE TABLE hotswap.listening_gap (
        from_at timestamptz(3) PRIMARY KEY,
        to_at timestamptz(3) NOT NULL,
        CHECK (from_at < to_at)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE hotswap.listening_gap, hotswap.control_plane_beat, hotswap.traffic_sample, hotswap.node_observation,
        hotswap.node_document, hotswap.node_assignment, hotswap.node;
    `);
  }
}
