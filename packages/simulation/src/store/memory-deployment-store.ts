import {
  currentStage,
  environmentsUpTo,
  finalStatuses,
  planStages,
  reason,
  type Approval,
  type DeploymentRequest,
  type Instant,
} from '@hotswap/domain';
import type {
  ApprovalVerdict,
  ControlOutcome,
  CreateOutcome,
  DeploymentControl,
  DeploymentStore,
  NewDeployment,
  NewEvent,
  RequestOutcome,
} from '@hotswap/orchestrator';
import { appendEvents } from './append-events.js';
import { changed, findOtherUnfinished, findUnfinished, isUnfinished, stagesOf } from './deployment-rows.js';
import { Abandoned, type EventRow, type MemoryDatabase, type Writer } from './memory-database.js';
import { versionKey } from './memory-module-catalog.js';
import { checkRollBack, reopen } from './take-back.js';

const keyMillisecondsMax = 24 * 3_600_000;

/** What people ask of deployments; lists for people are left out. */
export class MemoryDeploymentStore implements Pick<DeploymentStore, 'create' | 'request' | 'control'> {
  constructor(private readonly database: MemoryDatabase) {}

  async create(wanted: NewDeployment): Promise<CreateOutcome> {
    return this.writing((writer) => create(writer, wanted, () => this.database.nextId()));
  }

  async request(id: string, request: Parameters<DeploymentStore['request']>[1]): Promise<RequestOutcome> {
    return this.writing((writer) => {
      const row = writer.read.deployments.get(id);
      if (!row) return { kind: 'deployment-not-found' };
      const isFinal = finalStatuses.includes(row.status);
      if (request.kind === 'cancel' && isFinal) return { kind: 'not-running' };
      const fact: DeploymentRequest = { ...request, at: writer.now };
      if (fact.kind === 'roll-back') {
        if (isFinal) return reopen(writer, row, fact);
        checkRollBack(writer.read, row, fact);
      }
      changed(writer, row, { request: fact });
      return { kind: 'accepted' };
    });
  }

  async control(id: string, control: DeploymentControl): Promise<ControlOutcome> {
    return this.writing((writer) => {
      const row = writer.read.deployments.get(id);
      if (!row) return 'deployment-not-found';
      const stage = currentStage(stagesOf(writer.read, id));
      const isOver = finalStatuses.includes(row.status);
      const isGoingOn = !isOver && row.request === null && stage?.status !== 'RollingBack';
      const event = (type: string, message: string, data = {}): NewEvent => ({
        type,
        stage: stage?.name ?? null,
        environment: stage?.environment ?? null,
        message: `${message}${control.reason ? `: ${control.reason}` : ''}`,
        data,
      });
      switch (control.kind) {
        case 'pause':
          if (!isGoingOn) return 'not-running';
          if (row.pausedAt !== null) return 'accepted';
          changed(writer, row, { pausedAt: writer.now });
          appendEvents(writer, id, [event('paused', 'Someone asked to pause')]);
          return 'accepted';
        case 'resume':
          if (isOver || row.pausedAt === null) return 'not-paused';
          changed(writer, row, { pausedAt: null, pauses: [...row.pauses, { from: row.pausedAt, to: writer.now }] });
          appendEvents(writer, id, [event('resumed', 'Someone asked to go on')]);
          return 'accepted';
        case 'promote': {
          if (!isGoingOn || stage?.name !== 'Deploy' || stage.status !== 'Running') return 'nothing-to-promote';
          const { full } = control;
          changed(writer, row, { promotion: full || row.promotion === 'full' ? 'full' : 'step' });
          const how = full ? 'to the last step' : 'one step';
          appendEvents(writer, id, [event('promoted', `Someone asked to go on without waiting, ${how}`, { full })]);
          return 'accepted';
        }
      }
    });
  }

  async decideApproval(id: string, said: ApprovalVerdict): Promise<{ kind: string }> {
    return this.writing((writer) => {
      const row = writer.read.deployments.get(id);
      if (!row) return { kind: 'deployment-not-found' };
      const stage = currentStage(stagesOf(writer.read, id));
      const full = stage && writer.read.stages.get(stage.id);
      const { approval } = stage ?? {};
      if (
        !full ||
        stage?.name !== 'Approval' ||
        row.request ||
        !approval ||
        approval.verdict ||
        writer.now > approval.expiresAt
      )
        return { kind: 'nothing-to-approve' };
      if (said.approved && said.by.toLowerCase() === row.requesterEmail.toLowerCase()) return { kind: 'own-approval' };
      const { approved, by, reason: why } = said;
      const isRepeated = approved && approval.approvals.some((each) => each.by.toLowerCase() === by.toLowerCase());
      if (isRepeated) return { kind: 'accepted' };
      writer.set('stages', stage.id, { ...full, approval: addWord(approval, said, writer.now) });
      changed(writer, row, {});
      const message = `${by} ${approved ? 'approved' : 'rejected'} ${stage.environment}${why ? `: ${why}` : ''}`;
      const { name, environment } = stage;
      appendEvents(writer, id, [
        { type: approved ? 'approved' : 'rejected', stage: name, environment, message, data: { by } },
      ]);
      return { kind: 'accepted' };
    });
  }

  eventsOf(id: string): EventRow[] {
    return this.database.tables.events.filter(({ deploymentId }) => deploymentId === id);
  }

  private writing<T>(work: (writer: Writer) => T): T {
    const before = this.database.tables;
    const outcome = this.database.transaction(work);
    if (this.database.tables !== before) this.database.wake();
    return outcome;
  }
}

/** The first no is the last word, and so is the last yes that was needed. */
function addWord(approval: Approval, { approved, by, reason }: ApprovalVerdict, at: Instant): Approval {
  const word = { by, reason, at };
  const approvals = approved ? [...approval.approvals, word] : approval.approvals;
  const isLast = !approved || approvals.length >= approval.required;
  return { ...approval, approvals, verdict: isLast ? { ...word, approved } : null };
}

function create(writer: Writer, wanted: NewDeployment, nextId: () => string): CreateOutcome {
  const id = nextId();
  const { module, version, targetEnvironment, requesterEmail } = wanted;
  takeKey(writer, wanted, id);
  const published = writer.read.versions.get(versionKey(module, version));
  if (!published) {
    const isKnown = [...writer.read.versions.values()].some(({ name }) => name === module);
    return refuse({ kind: isKnown ? 'version-not-found' : 'module-not-found' });
  }
  if (published.isWithdrawn) return refuse({ kind: 'version-withdrawn' });
  const supersedes = wanted.onConflict === 'supersede' ? supersede(writer, wanted, id) : null;
  const { description, metadata, requireApproval, traceparent, breakGlass = null, retryOf = null } = wanted;
  writer.set('deployments', id, {
    id,
    module,
    version,
    artifact: published.artifact,
    targetEnvironment,
    requesterEmail,
    description,
    metadata,
    requireApproval,
    breakGlass,
    retryOf,
    status: 'Pending',
    reason: reason('pending', 'Waits for the control plane to take it up'),
    request: null,
    pausedAt: null,
    pauses: [],
    promotion: null,
    supersedes,
    rollbackReason: null,
    traceparent,
    createdAt: writer.now,
    startedAt: null,
    finishedAt: null,
    revision: 1,
    nextLookAt: writer.now,
    claimedUntil: null,
  });
  writeStages(writer, wanted, id, nextId);
  for (const stage of stagesOf(writer.read, id)) {
    const other = findOtherUnfinished(writer.read, stage);
    if (other) return refuse({ kind: 'deployment-in-progress', id: other.deploymentId });
  }
  const holder = supersedes ? null : findUnfinished(writer.read, module, environmentsUpTo(targetEnvironment), id);
  if (holder) return refuse({ kind: 'deployment-in-progress', id: holder });
  const message = `${requesterEmail} asked for ${module}@${version} up to ${targetEnvironment}`;
  appendEvents(writer, id, [{ type: 'deployment-created', stage: null, environment: null, message, data: {} }]);
  return { kind: 'created', id };
}

function refuse(outcome: CreateOutcome): never {
  throw new Abandoned(outcome);
}

function writeStages(writer: Writer, wanted: NewDeployment, deploymentId: string, nextId: () => string): void {
  const alwaysApproved = environmentsUpTo(wanted.targetEnvironment).filter(
    (name) => writer.read.environments.get(name)?.policy.approval?.always,
  );
  planStages(wanted.targetEnvironment, wanted.requireApproval, alwaysApproved).forEach(
    ({ name, environment }, ordinal) => {
      const id = nextId();
      writer.set('stages', id, {
        id,
        deploymentId,
        module: wanted.module,
        isSuperseded: false,
        ordinal,
        name,
        environment,
        strategy: null,
        status: 'Pending',
        startedAt: null,
        finishedAt: null,
        from: null,
        to: null,
        progress: null,
        approval: null,
        reason: null,
      });
    },
  );
}

function takeKey(writer: Writer, { idempotency }: NewDeployment, deploymentId: string): void {
  if (!idempotency) return;
  const { key, bodyDigest } = idempotency;
  const held = writer.read.idempotencyKeys.get(key);
  if (held && held.createdAt >= writer.now - keyMillisecondsMax)
    refuse(
      held.bodyDigest === bodyDigest ? { kind: 'repeated', id: held.deploymentId } : { kind: 'idempotency-key-reused' },
    );
  writer.set('idempotencyKeys', key, { bodyDigest, deploymentId, createdAt: writer.now });
}

/** Asks the deployment in the way, if there is one, to make room, and answers its id. */
function supersede(writer: Writer, wanted: NewDeployment, by: string): string | null {
  const environments = environmentsUpTo(wanted.targetEnvironment);
  const holders = [...writer.read.deployments.values()].filter(
    ({ id, module, finishedAt }) =>
      finishedAt === null &&
      module === wanted.module &&
      stagesOf(writer.read, id).some(
        ({ name, status, environment }) =>
          (name === 'Deploy' || name === 'Validate') &&
          isUnfinished(status) &&
          environment !== null &&
          environments.includes(environment),
      ),
  );
  const awaited = new Set(holders.map(({ supersedes }) => supersedes));
  const [last, other] = holders.filter(({ id }) => !awaited.has(id));
  if (other) return refuse({ kind: 'deployment-in-progress', id: other.id });
  if (!last) return null;
  changed(writer, last, { request: { kind: 'supersede', by, at: writer.now } });
  for (const stage of stagesOf(writer.read, last.id)) writer.set('stages', stage.id, { ...stage, isSuperseded: true });
  const message = `${wanted.requesterEmail} asked for ${wanted.module}@${wanted.version} in its place`;
  appendEvents(writer, last.id, [
    { type: 'supersede-requested', stage: null, environment: null, message, data: { by } },
  ]);
  return last.id;
}
