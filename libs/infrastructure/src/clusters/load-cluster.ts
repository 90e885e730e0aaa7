import {
  EnvironmentCluster,
  KernelNode,
  type BootDeath,
  type EnvironmentName,
  type EnvironmentRelease,
  type InstanceObservation,
  type Instant,
  type KernelNodeFacts,
  type Listening,
  type ModuleObservation,
  type NodeAssignment,
  type ProbeOrder,
  type Release,
} from '@hotswap/domain';
import type { EntityManager } from 'typeorm';
import { loadReleases } from '../releases.js';

/** An environment's nodes, what was asked of them, what they say, and what they are to run; consistent within a repeatable-read transaction. */
export async function loadCluster(
  manager: EntityManager,
  environment: EnvironmentName,
  now: Instant,
): Promise<EnvironmentCluster> {
  const nodes = await manager.query<NodeRow[]>(selectNodes, [environment]);
  const assignments = await manager.query<AssignmentRow[]>(selectAssignments, [environment]);
  const observations = await manager.query<ObservationRow[]>(selectObservations, [environment]);
  const records = await manager.query<RecordRow[]>(selectRecords, [environment]);
  const deaths = await manager.query<DeathRow[]>(selectDeaths, [environment]);
  const releases = await loadReleases(manager, [
    ...assignments.flatMap((row) => [row.active, row.candidate, row.fallback, ...row.warm]),
    ...records.flatMap((row) => [row.release, row.previous]),
  ]);
  const ofNodes = {
    assignments: Map.groupBy(assignments, nodeIdOf),
    observations: Map.groupBy(observations, nodeIdOf),
    deaths: Map.groupBy(deaths, nodeIdOf),
  };
  return new EnvironmentCluster(
    environment,
    nodes.map((row) => new KernelNode(toFacts(row, environment, ofNodes, releases))),
    records.map((row) => toRecord(row, environment, releases)),
    now,
    await loadListening(manager),
  );
}

interface NodeRow {
  id: string;
  hostname: string;
  address: string;
  zone: string | null;
  boot_id: string;
  pid: number;
  reported_state: KernelNodeFacts['reportedState'];
  joined_at: Date;
  last_heartbeat_at: Date;
  accepted_epoch: number | null;
  accepted_revision: number | null;
}

const selectNodes = `
  SELECT id, hostname, address, zone, boot_id, pid, reported_state, joined_at, last_heartbeat_at, accepted_epoch, accepted_revision
  FROM hotswap.node
  WHERE environment = $1 AND decommissioned_at IS NULL
  ORDER BY id`;

interface AssignmentRow {
  node_id: string;
  module: string;
  active: string | null;
  candidate: string | null;
  candidate_percent: number;
  twin: boolean;
  probe: ProbeOrder | null;
  warm: string[];
  fallback: string | null;
  epoch: number;
  revision: number;
  assigned_at: Date;
}

const selectAssignments = `
  SELECT node_id, module, active, candidate, candidate_percent, twin, probe, warm, fallback, epoch, revision, assigned_at
  FROM hotswap.node_assignment
  JOIN hotswap.node ON node.id = node_id
  WHERE environment = $1 AND decommissioned_at IS NULL
  ORDER BY node_id, module`;

interface ObservationRow {
  node_id: string;
  module: string;
  active: string | null;
  candidate: string | null;
  candidate_percent: number;
  serving_fallback: boolean;
  instances: InstanceObservation[];
  since: Date;
}

const selectObservations = `
  SELECT node_id, module, active, candidate, candidate_percent, serving_fallback, instances, since
  FROM hotswap.node_observation
  JOIN hotswap.node ON node.id = node_id
  WHERE environment = $1 AND decommissioned_at IS NULL
  ORDER BY node_id, module`;

interface DeathRow {
  node_id: string;
  boot_id: string;
  module: string;
  release: string;
  activated_at: Date;
  last_heard_at: Date;
  noticed_at: Date;
}

const selectDeaths = `
  SELECT node_id, death.boot_id, module, release, activated_at, last_heard_at, noticed_at
  FROM hotswap.node_death AS death
  JOIN hotswap.node ON node.id = node_id
  WHERE environment = $1 AND decommissioned_at IS NULL AND noticed_at > now() - interval '1 day'
    AND last_heard_at - activated_at <= interval '30 seconds'
  ORDER BY node_id, noticed_at, module`;

interface RecordRow {
  module: string;
  release: string | null;
  previous: string | null;
  owner_stage_id: string | null;
  revision: number;
}

/** Where a module waits for its first release, there is no record yet: the stage on its way owns the place already, at revision 0. */
const selectRecords = `
  SELECT module, release, previous, owner_stage_id, revision
  FROM hotswap.environment_release
  WHERE environment = $1
  UNION ALL
  SELECT module, NULL, NULL, id, 0
  FROM hotswap.deployment_stage AS stage
  WHERE environment = $1 AND name = 'Deploy' AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack')
    AND NOT EXISTS (SELECT FROM hotswap.environment_release AS record
      WHERE record.environment = stage.environment AND record.module = stage.module)
  ORDER BY module`;

export async function loadListening(manager: EntityManager): Promise<Listening> {
  const [beat] = await manager.query<{ at: Date }[]>('SELECT at FROM hotswap.control_plane_beat');
  const gaps = await manager.query<{ from_at: Date; to_at: Date }[]>(
    'SELECT from_at, to_at FROM hotswap.listening_gap ORDER BY from_at',
  );
  return {
    beatAt: beat?.at.getTime() ?? 0,
    gaps: gaps.map(({ from_at, to_at }) => ({ from: from_at.getTime(), to: to_at.getTime() })),
  };
}

function toFacts(
  row: NodeRow,
  environment: EnvironmentName,
  of: {
    assignments: Map<string, AssignmentRow[]>;
    observations: Map<string, ObservationRow[]>;
    deaths: Map<string, DeathRow[]>;
  },
  releases: ReadonlyMap<string, Release>,
): KernelNodeFacts {
  const assignments = of.assignments.get(row.id) ?? [];
  const observations = of.observations.get(row.id) ?? [];
  return {
    id: row.id,
    environment,
    hostname: row.hostname,
    address: row.address,
    zone: row.zone,
    bootId: row.boot_id,
    pid: row.pid,
    reportedState: row.reported_state,
    joinedAt: row.joined_at.getTime(),
    lastHeartbeatAt: row.last_heartbeat_at.getTime(),
    accepted:
      row.accepted_epoch !== null && row.accepted_revision !== null
        ? { epoch: row.accepted_epoch, revision: row.accepted_revision }
        : null,
    assignments: new Map(assignments.map((each) => [each.module, toAssignment(each, releases)])),
    observations: new Map(observations.map((each) => [each.module, toObservation(each)])),
    deaths: (of.deaths.get(row.id) ?? []).map(toDeath),
  };
}

function nodeIdOf({ node_id }: { node_id: string }): string {
  return node_id;
}

function toAssignment(row: AssignmentRow, releases: ReadonlyMap<string, Release>): NodeAssignment {
  return {
    active: releaseOf(row.active, releases),
    candidate: releaseOf(row.candidate, releases),
    candidatePercent: row.candidate_percent,
    twin: row.twin || undefined,
    probe: row.probe ?? undefined,
    warm: row.warm.flatMap((digest) => releases.get(digest) ?? []),
    fallback: releaseOf(row.fallback, releases),
    epoch: row.epoch,
    revision: row.revision,
    assignedAt: row.assigned_at.getTime(),
  };
}

function toDeath(row: DeathRow): BootDeath {
  return {
    bootId: row.boot_id,
    module: row.module,
    release: row.release,
    activatedAt: row.activated_at.getTime(),
    lastHeardAt: row.last_heard_at.getTime(),
    noticedAt: row.noticed_at.getTime(),
  };
}

function toObservation(row: ObservationRow): ModuleObservation {
  return {
    active: row.active,
    candidate: row.candidate,
    candidatePercent: row.candidate_percent,
    servingFallback: row.serving_fallback,
    instances: row.instances.map(({ release, version, state, error, failureKind, crashes, phaseSeconds }) => ({
      release,
      version,
      state,
      error,
      failureKind,
      crashes,
      ...(phaseSeconds && { phaseSeconds }),
    })),
    since: row.since.getTime(),
  };
}

function toRecord(
  row: RecordRow,
  environment: EnvironmentName,
  releases: ReadonlyMap<string, Release>,
): EnvironmentRelease {
  return {
    environment,
    module: row.module,
    release: releaseOf(row.release, releases),
    previous: releaseOf(row.previous, releases),
    ownerStageId: row.owner_stage_id,
    revision: row.revision,
  };
}

function releaseOf(digest: string | null, releases: ReadonlyMap<string, Release>): Release | null {
  return digest === null ? null : (releases.get(digest) ?? null);
}
