import {
  compareDocuments,
  isLaterBoot,
  type JoinRequest,
  type NodeDocument,
  type NodeReport,
} from '@hotswap/agent-protocol';
import type { BootDeath, Instant, ModuleObservation } from '@hotswap/domain';
import { NodeRegistry, type JoinOutcome, type ReportOutcome } from '@hotswap/orchestrator';
import { Logger } from '@nestjs/common';
import type { MemoryDatabase, NodeRow, Writer } from './memory-database.js';
import { keepTraffic } from './traffic.js';
import { composeDocument } from './write-assignments.js';

const logger = new Logger('Nodes');

/** Processes that ended longer after they had activated a release say nothing about it. */
const deathMillisecondsMax = 300_000;

export class MemoryNodeRegistry extends NodeRegistry {
  constructor(private readonly database: MemoryDatabase) {
    super();
  }

  async join(request: JoinRequest, secretHash: string, knownSecretHash: string | null): Promise<JoinOutcome> {
    const known = this.row(request.nodeId);
    if (known?.isDecommissioned) return { kind: 'decommissioned' };
    const isOther = known && knownSecretHash !== null && knownSecretHash !== known.secretHash;
    if (isOther || (known && known.environment !== request.environment)) return { kind: 'identity-taken' };
    const document = this.database.transaction((writer) => {
      bumpMembership(writer, request.environment);
      const hash = known && knownSecretHash !== null ? known.secretHash : secretHash;
      writer.set(
        'nodes',
        request.nodeId,
        known ? rejoined(known, request, hash, writer) : joined(request, hash, writer),
      );
      const newest = writer.read.nodes.get(request.nodeId)?.document;
      if (newest && request.accepted && compareDocuments(request.accepted, newest) > 0)
        adoptEpoch(writer, request.accepted.epoch);
      return writer.read.nodes.get(request.nodeId)?.document;
    });
    this.database.wake();
    if (!document) throw new Error(request.nodeId);
    return { kind: 'joined', document };
  }

  async secretHash(nodeId: string): Promise<string | null> {
    return this.row(nodeId)?.secretHash ?? null;
  }

  async report(nodeId: string, report: NodeReport): Promise<ReportOutcome> {
    const node = this.row(nodeId);
    if (!node) return 'unknown-node';
    if (node.isDecommissioned) return 'decommissioned';
    if (node.bootId !== report.bootId) {
      if (!isLaterBoot(report.bootId, node.bootId)) return 'fenced';
      logger.warn(`Node ${nodeId} was started after what this database knows of it`);
      return 'unknown-node';
    }
    if (node.reportSequence >= report.sequence) return 'repeated';
    const isAhead = this.database.transaction((writer) => {
      if (node.reportedState !== report.state) bumpMembership(writer, node.environment);
      writer.set('nodes', nodeId, {
        ...node,
        reportedState: report.state,
        accepted: report.accepted,
        refused: report.refused,
        reportSequence: report.sequence,
        lastHeartbeatAt: writer.now,
        observations: observationsOf(node, report, writer.now),
      });
      const { accepted, diverged } = report;
      if (accepted === null) return false;
      const order = compareDocuments(accepted, node.document);
      if (order < 0 || (order === 0 && !diverged)) return false;
      adoptEpoch(writer, accepted.epoch);
      if (order === 0) logger.warn(`Node ${nodeId} has accepted a revision of this database with other content`);
      return true;
    });
    keepTraffic(this.database, nodeId, node.environment, report);
    if (isAhead) this.database.wake();
    return 'accepted';
  }

  async document(nodeId: string): Promise<NodeDocument | null> {
    const node = this.row(nodeId);
    return node && !node.isDecommissioned ? node.document : null;
  }

  async documentRevisions(nodeIds: string[]): Promise<Map<string, { epoch: number; revision: number }>> {
    const rows = nodeIds.map((id) => this.row(id)).filter((row) => row && !row.isDecommissioned);
    return new Map(
      rows.flatMap((row) => (row ? [[row.id, { epoch: row.document.epoch, revision: row.document.revision }]] : [])),
    );
  }

  async drain(nodeId: string): Promise<boolean> {
    const node = this.row(nodeId);
    if (!node || node.isDecommissioned) return false;
    if (node.drainedBootId === node.bootId) return true;
    this.database.transaction((writer) => {
      const document = { ...node.document, revision: node.document.revision + 1 };
      writer.set('nodes', nodeId, { ...node, drainedBootId: node.bootId, document });
      composeDocument(writer, nodeId);
    });
    this.database.wake();
    return true;
  }

  async decommission(nodeId: string): Promise<boolean> {
    const node = this.row(nodeId);
    if (!node || node.isDecommissioned) return false;
    this.database.transaction((writer) => {
      bumpMembership(writer, node.environment);
      writer.set('nodes', nodeId, { ...node, isDecommissioned: true });
    });
    this.database.wake();
    return true;
  }

  private row(nodeId: string): NodeRow | undefined {
    return this.database.tables.nodes.get(nodeId);
  }
}

function joined(request: JoinRequest, secretHash: string, { read, now }: Writer): NodeRow {
  const { nodeId, environment, bootId, pid, hostname, address, zone, accepted } = request;
  return {
    id: nodeId,
    environment,
    hostname,
    address,
    zone,
    bootId,
    pid,
    reportedState: 'Starting',
    joinedAt: now,
    lastHeartbeatAt: now,
    accepted,
    secretHash,
    isDecommissioned: false,
    drainedBootId: null,
    reportSequence: -1,
    refused: null,
    assignments: new Map(),
    observations: new Map(),
    document: { epoch: read.epoch, revision: 1, modules: [] },
  };
}

/** What an earlier boot said is forgotten. */
function rejoined(known: NodeRow, request: JoinRequest, secretHash: string, writer: Writer): NodeRow {
  const isSameBoot = known.bootId === request.bootId;
  const { pid, hostname, address, zone, bootId, accepted } = request;
  return {
    ...known,
    pid,
    hostname,
    address,
    zone,
    bootId,
    accepted,
    secretHash,
    reportedState: isSameBoot ? known.reportedState : 'Starting',
    deaths: isSameBoot ? known.deaths : [...(known.deaths ?? []), ...deathsOf(known, writer.now)],
    joinedAt: isSameBoot ? known.joinedAt : writer.now,
    lastHeartbeatAt: writer.now,
    refused: null,
    reportSequence: isSameBoot ? known.reportSequence : -1,
    observations: isSameBoot ? known.observations : new Map(),
  };
}

/** The process before ended without a word: for each module whose wanted release it had taken in, not long before. */
function deathsOf(node: NodeRow, noticedAt: Instant): BootDeath[] {
  const { bootId, accepted, reportedState, lastHeartbeatAt: lastHeardAt } = node;
  if (accepted === null || (reportedState !== 'Starting' && reportedState !== 'Ready')) return [];
  return [...node.assignments].flatMap(([module, wanted]) => {
    if (wanted.active === null || compareDocuments(accepted, wanted) < 0) return [];
    const release = wanted.active.digest;
    const seen = node.observations.get(module);
    const activatedAt =
      seen?.active === release ? seen.since : Math.max(wanted.assignedAt ?? node.joinedAt, node.joinedAt);
    const isRecent = lastHeardAt - activatedAt < deathMillisecondsMax;
    return isRecent ? [{ bootId, module, release, activatedAt, lastHeardAt, noticedAt }] : [];
  });
}

function bumpMembership(writer: Writer, environment: NodeRow['environment']): void {
  const row = writer.read.environments.get(environment);
  if (row) writer.set('environments', environment, { ...row, membershipRevision: row.membershipRevision + 1 });
}

/** A node has accepted a newer document than this database holds: from here on every document is of a later epoch. */
function adoptEpoch(writer: Writer, observedEpoch: number): void {
  if (writer.read.epoch > observedEpoch) return;
  const epoch = observedEpoch + 1;
  writer.replace('epoch', epoch);
  for (const node of writer.read.nodes.values()) {
    if (node.isDecommissioned) continue;
    const revision = node.document.revision + 1;
    const assignments = new Map([...node.assignments].map(([module, row]) => [module, { ...row, epoch, revision }]));
    writer.set('nodes', node.id, { ...node, assignments, document: { ...node.document, epoch, revision } });
    composeDocument(writer, node.id);
  }
}

function observationsOf(
  { observations }: NodeRow,
  { modules }: NodeReport,
  now: number,
): Map<string, ModuleObservation> {
  return new Map(
    modules.map(({ module, active, candidate, candidatePercent, servingFallback, instances }) => {
      const seen = observations.get(module);
      const isUnmoved =
        seen?.active === active && seen.candidate === candidate && seen.candidatePercent === candidatePercent;
      return [
        module,
        {
          active,
          candidate,
          candidatePercent,
          servingFallback,
          instances: instances.map(({ release, version, state, error, failureKind, crashes, phaseSeconds }) => ({
            release,
            version,
            state,
            error,
            failureKind,
            crashes,
            ...(phaseSeconds && { phaseSeconds }),
          })),
          since: isUnmoved ? seen.since : now,
        },
      ];
    }),
  );
}
