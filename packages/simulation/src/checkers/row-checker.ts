import { compareDocuments } from '@hotswap/agent-protocol';
import { finalStatuses, routesAlike, type StageStatus } from '@hotswap/domain';
import type { Counts, Findings } from '../findings.js';
import { recordKey, type DecisionRow, type EventRow, type StageRow, type Tables } from '../store/memory-database.js';

const rules = {
  oneRollout: 'At most one rollout is unfinished per module and environment, beside those that make room for it',
  transitions: 'A stage goes only where its state machine lets it',
  final: 'A deployment that has ended stays ended, unless it had succeeded and is taken back',
  progress: 'A rollout never goes back a step, but by being taken back',
  revisions: 'Revisions of records and documents only rise',
  told: 'Every change of a deployment and of its stages is in the event log',
  owner: 'Only the owner of an environment, or while there is none its record, decides what its nodes run',
  record: 'A rollout that ends leaves the record at what it brought, or at what was there before',
};

const transitions: Record<StageStatus, readonly StageStatus[]> = {
  Pending: ['Running', 'Waiting', 'Succeeded', 'Skipped', 'Failed'],
  Running: ['Succeeded', 'Skipped', 'Failed', 'RollingBack'],
  Waiting: ['Succeeded', 'Skipped', 'Failed'],
  RollingBack: ['RolledBack', 'Succeeded'],
  Succeeded: ['RollingBack'],
  Skipped: [],
  Failed: [],
  RolledBack: [],
};

const eventOfStage: Partial<Record<StageStatus, string>> = {
  Running: 'stage-started',
  Waiting: 'stage-started',
  Succeeded: 'stage-succeeded',
  Skipped: 'stage-skipped',
  Failed: 'stage-failed',
  RollingBack: 'rolling-back',
  RolledBack: 'stage-rolled-back',
};

/** Compares the rows before and after each transaction. */
export class RowChecker {
  constructor(
    private readonly findings: Findings,
    private readonly counts: Counts,
  ) {}

  onCommit(before: Tables, after: Tables): void {
    const events = after.events.slice(before.events.length);
    const decisions = after.decisions.slice(before.decisions.length);
    for (const { kind, because } of decisions) {
      this.counts.add('decisions');
      this.counts.add(`decision ${kind}`);
      this.counts.add(`because ${because.code}`);
    }
    if (before.stages !== after.stages) this.checkStages(before, after, events);
    if (before.deployments !== after.deployments) this.checkDeployments(before, after, events);
    if (before.records !== after.records) this.checkRecords(before, after);
    if (before.nodes !== after.nodes) this.checkNodes(before, after, decisions);
    if (after.gaps.length > before.gaps.length) this.counts.add('listening gaps');
    if (after.epoch > before.epoch) this.counts.add('epochs adopted');
  }

  private checkStages(before: Tables, after: Tables, events: readonly EventRow[]): void {
    const unfinished = new Map<string, StageRow[]>();
    for (const stage of after.stages.values()) {
      const isAtWork = stage.status === 'Running' || stage.status === 'RollingBack';
      if (stage.name === 'Deploy' && stage.environment && isAtWork) {
        const key = recordKey(stage.environment, stage.module);
        unfinished.set(key, [...(unfinished.get(key) ?? []), stage]);
      }
      const was = before.stages.get(stage.id);
      if (!was || was === stage) continue;
      if (was.status !== stage.status) this.checkTransition(was, stage, after, events);
      const steps = [was.progress?.number ?? -1, stage.progress?.number ?? -1] as const;
      if (steps[1] < steps[0]) this.findings.add(rules.progress, `${nameOf(stage)}: step ${steps[0]} to ${steps[1]}`);
      if (steps[1] !== steps[0] && !isTold(events, stage, 'step-advanced'))
        this.findings.add(rules.told, `${nameOf(stage)}: step ${steps[1]}`);
    }
    for (const [key, stages] of unfinished)
      if (stages.length > 1) this.findings.add(rules.oneRollout, `${key}: ${stages.map(nameOf).join(', ')}`);
  }

  private checkTransition(was: StageRow, stage: StageRow, after: Tables, events: readonly EventRow[]): void {
    const change = `${nameOf(stage)}: ${was.status} to ${stage.status}`;
    if (!transitions[was.status].includes(stage.status)) this.findings.add(rules.transitions, change);
    const type = eventOfStage[stage.status];
    if (type && !isTold(events, stage, type)) this.findings.add(rules.told, change);
    if (stage.name !== 'Deploy' || !stage.environment) return;
    const record = after.records.get(recordKey(stage.environment, stage.module));
    const isBrought = stage.status === 'Succeeded' && was.status === 'Running';
    if (isBrought && record?.release?.digest !== stage.to?.digest) this.findings.add(rules.record, change);
    if (stage.status === 'RolledBack' && record?.release?.digest !== stage.from?.digest)
      this.findings.add(rules.record, change);
    if (isBrought) this.counts.add(`completed ${stage.strategy}`);
    if (stage.status === 'RollingBack') this.counts.add(`rolled back ${stage.strategy}`);
  }

  private checkDeployments(before: Tables, after: Tables, events: readonly EventRow[]): void {
    for (const deployment of after.deployments.values()) {
      const was = before.deployments.get(deployment.id);
      if (!was || was.status === deployment.status) continue;
      const isOver = finalStatuses.includes(was.status);
      if (isOver && !(was.status === 'Succeeded' && deployment.status === 'RollingBack'))
        this.findings.add(rules.final, `${deployment.id}: ${was.status} to ${deployment.status}`);
      if (!finalStatuses.includes(deployment.status)) continue;
      this.counts.add(`ended ${deployment.status}`);
      if (!events.some(({ deploymentId, stage }) => deploymentId === deployment.id && stage === null))
        this.findings.add(rules.told, `${deployment.id}: ${deployment.status}`);
    }
  }

  private checkRecords(before: Tables, after: Tables): void {
    for (const [key, record] of after.records) {
      const was = before.records.get(key);
      if (was && was !== record && record.revision <= was.revision)
        this.findings.add(rules.revisions, `record ${key}: ${was.revision} to ${record.revision}`);
    }
  }

  private checkNodes(before: Tables, after: Tables, decisions: readonly DecisionRow[]): void {
    for (const node of after.nodes.values()) {
      const was = before.nodes.get(node.id);
      if (!was || was.document === node.document) continue;
      if (compareDocuments(node.document, was.document) <= 0)
        this.findings.add(rules.revisions, `document of ${node.hostname}`);
      for (const [module, plan] of node.assignments) {
        const planBefore = was.assignments.get(module);
        if (planBefore === plan || (planBefore && routesAlike(planBefore, plan))) continue;
        const owner = after.records.get(recordKey(node.environment, module))?.ownerStageId ?? null;
        const deploymentId = after.stages.get(owner ?? '')?.deploymentId;
        if (owner !== null && !decisions.some((decision) => decision.deploymentId === deploymentId))
          this.findings.add(rules.owner, `${node.hostname} ${module}: owned by ${owner}`);
      }
    }
  }
}

function isTold(events: readonly EventRow[], stage: StageRow, type: string): boolean {
  return events.some(
    (event) =>
      event.deploymentId === stage.deploymentId &&
      event.type === type &&
      event.stage === stage.name &&
      event.environment === stage.environment,
  );
}

function nameOf(stage: StageRow): string {
  return `${stage.module} ${stage.name} ${stage.environment ?? ''} of ${stage.deploymentId.slice(-4)}`;
}
