import { beatGapMilliseconds } from '@hotswap/domain';
import { ControlPlaneClock } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { pruneProbes, pruneTraffic } from './rollouts/keep-exposure.js';

/** A process that begins to beat, and finds no beat of another within this time, ends a gap: nobody listened while it started. */
const firstBeatGapMilliseconds = 2_000;

@Injectable()
export class PostgresControlPlaneClock extends ControlPlaneClock {
  private hasBeaten = false;

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  /**
   * Replicas take turns at the row, so that a gap is written once; what was asked of the control plane and not answered gets that time
   * back. A clock that was set back moves nothing.
   */
  async beat(): Promise<void> {
    await this.dataSource.query(
      `WITH newest AS MATERIALIZED (
         SELECT at, clock_timestamp()::timestamptz(3) AS now FROM hotswap.control_plane_beat FOR NO KEY UPDATE
       ), gap AS (
         INSERT INTO hotswap.listening_gap (from_at, to_at)
         SELECT at, now FROM newest WHERE now - at > $1 * interval '1 millisecond'
       ), delayed AS (
         UPDATE hotswap.evidence SET deadline_at = deadline_at + (newest.now - newest.at)
         FROM newest WHERE status = 'Requested' AND newest.now - newest.at > $1 * interval '1 millisecond'
       )
       INSERT INTO hotswap.control_plane_beat AS beat (at)
       SELECT coalesce((SELECT greatest(at, now) FROM newest), clock_timestamp())
       ON CONFLICT (is_single) DO UPDATE SET at = greatest(beat.at, excluded.at)`,
      [this.hasBeaten ? beatGapMilliseconds : firstBeatGapMilliseconds],
    );
    this.hasBeaten = true;
  }

  async prune(): Promise<void> {
    for (const statement of pruneStatements) await this.dataSource.query(statement);
  }
}

/** Replicas take turns: of two that make the same partition one would fail. */
const keepPartitions = `
  WITH turn AS MATERIALIZED (SELECT FROM hotswap.traffic_pack FOR UPDATE)
  SELECT hotswap.keep_traffic_partitions() FROM turn`;

const pruneStatements = [
  pruneTraffic,
  pruneProbes,
  keepPartitions,
  `DELETE FROM hotswap.listening_gap WHERE to_at < now() - interval '1 day'`,
  `DELETE FROM hotswap.node_state_change WHERE at < now() - interval '30 days'`,
  `DELETE FROM hotswap.node_death WHERE noticed_at < now() - interval '30 days'`,
  `DELETE FROM hotswap.idempotency_key WHERE created_at < now() - interval '24 hours'`,
  `DELETE FROM hotswap.node_document AS document USING hotswap.node
   WHERE node.id = node_id AND created_at < now() - interval '1 hour'
     AND (document.epoch, document.revision) < (document_epoch, document_revision)`,
];
