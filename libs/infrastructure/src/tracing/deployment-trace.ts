import { createHash } from 'node:crypto';
import {
  finalStatuses,
  type Deployment,
  type DeploymentStatus,
  type DeploymentView,
  type Instant,
  type PipelineDecision,
  type Reason,
  type Stage,
  type StageStatus,
} from '@hotswap/domain';
import { type Attributes, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { withSpanId } from './chosen-span-ids.js';

/**
 * A deployment's trace: the REST call, under it the deployment, under that its stages, their decisions, and what each node did
 * for a decision. A span is written when it ends, by whichever process ends it, with the start that the rows keep; its id follows from
 * the rows, so that children written earlier, elsewhere, name the right parent. Rows without a sampled traceparent write nothing.
 */

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const badStages: readonly StageStatus[] = ['Failed', 'RollingBack', 'RolledBack'];
const badEnds: readonly DeploymentStatus[] = ['Failed', 'RolledBack'];

/** W3C traceparent of the decision committed on this view: what nodes get with the assignments that it writes. */
export function traceparentOfDecision({ deployment }: DeploymentView): string | null {
  const root = parseTraceparent(deployment.traceparent);
  return root && `00-${root.traceId}-${decisionSpanId(deployment)}-${root.flags}`;
}

/** Writes the spans that end with a committed decision. @param decidedAt when it was committed, by the database's clock */
export function traceDecision(view: DeploymentView, decision: PipelineDecision, decidedAt: Instant): void {
  const { deployment, stages } = view;
  const stage = stages.find(({ id }) => id === decision.stageId) ?? null;
  const parentSpanId = stage ? spanIdOf('stage', stage.id) : spanIdOf('deployment', deployment.id);
  writeSpan(deployment, {
    name: `decision ${decision.kind}`,
    // Only those that nodes hang under have to be known beforehand; several waits are decided at one revision.
    id: decision.assign.length > 0 ? decisionSpanId(deployment) : null,
    parentSpanId,
    startedAt: Math.min(view.now, decidedAt),
    endedAt: decidedAt,
    attributes: {
      ...attributesOf(deployment),
      ...(stage && attributesOfStage(stage)),
      'hotswap.decision.kind': decision.kind,
      'hotswap.decision.nodes': decision.assign.map(({ nodeId }) => nodeId),
    },
    because: decision.because,
    bad: decision.kind === 'roll-back',
  });
  for (const change of decision.stages) {
    const changed = stages.find(({ id }) => id === change.stageId);
    if (changed && change.status && endsStage(changed, change.status))
      traceStage(
        deployment,
        { ...changed, status: change.status, strategy: change.strategy ?? changed.strategy },
        change.reason ?? decision.because,
        decidedAt,
      );
  }
  if (finalStatuses.includes(decision.status)) traceEnd(view, decision, decidedAt);
}

/** Its way back is told by the decisions on it: a stage's span ends when it does not move forward any more. */
function endsStage({ status }: Stage, next: StageStatus): boolean {
  const isForward = status === 'Pending' || status === 'Running' || status === 'Waiting';
  return isForward && (next === 'Succeeded' || badStages.includes(next));
}

function traceStage(deployment: Deployment, stage: Stage, because: Reason, endedAt: Instant): void {
  writeSpan(deployment, {
    name: ['stage', stage.name, stage.environment].filter((part) => part !== null).join(' '),
    id: spanIdOf('stage', stage.id),
    parentSpanId: spanIdOf('deployment', deployment.id),
    startedAt: stage.startedAt ?? endedAt,
    endedAt,
    attributes: { ...attributesOf(deployment), ...attributesOfStage(stage), 'hotswap.status': stage.status },
    because,
    bad: badStages.includes(stage.status),
  });
}

/** The deployment's own span; where it had succeeded before, that of its way back. */
function traceEnd(
  { deployment, stages }: DeploymentView,
  { status, because }: PipelineDecision,
  endedAt: Instant,
): void {
  const own = spanIdOf('deployment', deployment.id);
  const root = parseTraceparent(deployment.traceparent);
  const hadSucceeded = deployment.rollbackReason !== null && stages.at(-1)?.status === 'Succeeded';
  writeSpan(deployment, {
    name: hadSucceeded ? 'rollback' : 'deployment',
    id: hadSucceeded ? null : own,
    parentSpanId: hadSucceeded ? own : (root?.spanId ?? ''),
    startedAt: hadSucceeded ? (deployment.request?.at ?? endedAt) : deployment.createdAt,
    endedAt,
    attributes: { ...attributesOf(deployment), 'hotswap.status': status },
    because,
    bad: badEnds.includes(status),
  });
}

interface SpanFacts {
  name: string;
  /** Null: nobody has named it, any will do. */
  id: string | null;
  parentSpanId: string;
  startedAt: Instant;
  endedAt: Instant;
  attributes: Attributes;
  because: Reason;
  bad: boolean;
}

function writeSpan({ traceparent }: Deployment, facts: SpanFacts): void {
  const root = parseTraceparent(traceparent);
  if (!root) return;
  const { name, id, parentSpanId, startedAt, endedAt, because, bad } = facts;
  const parent = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: root.traceId,
    spanId: parentSpanId,
    traceFlags: Number.parseInt(root.flags, 16),
    isRemote: true,
  });
  const attributes = {
    ...facts.attributes,
    'hotswap.reason.code': because.code,
    'hotswap.reason.message': because.message,
  };
  const tracer = trace.getTracer('@hotswap/infrastructure');
  const begin = () => tracer.startSpan(name, { attributes, startTime: startedAt }, parent);
  const span = id === null ? begin() : withSpanId(id, begin);
  if (bad) span.setStatus({ code: SpanStatusCode.ERROR, message: because.message });
  span.end(endedAt);
}

function attributesOf({ id, module, version }: Deployment): Attributes {
  return { 'hotswap.deployment': id, 'hotswap.module': module, 'hotswap.version': version };
}

function attributesOfStage({ name, environment, strategy }: Stage): Attributes {
  return {
    'hotswap.stage': name,
    'hotswap.environment': environment ?? undefined,
    'hotswap.strategy': strategy ?? undefined,
  };
}

function parseTraceparent(traceparent: string | null): { traceId: string; spanId: string; flags: string } | null {
  const [, traceId, spanId, flags] = traceparentPattern.exec(traceparent ?? '') ?? [];
  return traceId && spanId && flags ? { traceId, spanId, flags } : null;
}

function decisionSpanId({ id, revision }: Deployment): string {
  return spanIdOf('decision', `${id} ${revision}`);
}

function spanIdOf(kind: string, key: string): string {
  return createHash('sha256').update(`${kind} ${key}`).digest('hex').slice(0, 16);
}
