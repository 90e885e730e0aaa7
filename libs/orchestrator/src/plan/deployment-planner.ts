import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  environmentsUpTo,
  planStages,
  reason,
  type Deployment,
  type EnvironmentName,
  type Reason,
  type Stage,
} from '@hotswap/domain';
import { ArtifactVerifier } from '../artifact-verifier.js';
import { checkSignatures } from '../check-signatures.js';
import { DeploymentPipeline } from '../deployment-pipeline.js';
import { MetricStore } from '../ports/metric-store.js';
import { ModuleCatalog } from '../ports/module-catalog.js';
import { PlanStore, type PlannedDeployment, type Situation } from '../ports/plan-store.js';
import { nodeSeconds } from './deployment-model.js';
import type { DeploymentPlan, PlanGate } from './deployment-plan.js';
import type { MeasuredLoad } from './modelled-traffic.js';
import { planDeployment, type Course } from './plan-deployment.js';

/** The traffic of so many seconds counts. */
const windowSeconds = 300;
const turnMilliseconds = 10;
/** Plans of this process at once: they share its one thread with everything else. */
const planCountMax = 4;

/** `too-many-plans`: so many are being made already. `abandoned`: nobody waited for it any more. */
export type PlanOutcome =
  | { kind: 'planned'; plan: DeploymentPlan }
  | { kind: 'module-not-found' | 'version-not-found' }
  | { kind: 'too-many-plans' | 'abandoned' };

/** Tells what a deployment would do, by the pipeline's own decisions. Writes nothing. */
@Injectable()
export class DeploymentPlanner {
  private underWay = 0;

  constructor(
    private readonly plans: PlanStore,
    private readonly metrics: MetricStore,
    private readonly catalog: ModuleCatalog,
    private readonly verifier: ArtifactVerifier,
    private readonly pipeline: DeploymentPipeline,
  ) {}

  /** `signal`: aborted when nobody waits for it any more; it stops before its next decision. */
  async plan(wanted: PlannedDeployment, signal: AbortSignal): Promise<PlanOutcome> {
    if (this.underWay >= planCountMax) return { kind: 'too-many-plans' };
    this.underWay++;
    try {
      return await this.make(wanted, signal);
    } finally {
      this.underWay--;
    }
  }

  private async make(wanted: PlannedDeployment, signal: AbortSignal): Promise<PlanOutcome> {
    const outcome = await this.plans.load(wanted);
    if (outcome.kind !== 'found') return outcome;
    const { situation } = outcome;
    const { artifact, revision } = situation;
    const refusal = findRefusal(wanted, situation) ?? (await this.verify(wanted, situation));
    const course = refusal ? refused(wanted, situation, refusal) : await this.run(wanted, situation, signal);
    return course ? { kind: 'planned', plan: { revision, artifact, ...course } } : { kind: 'abandoned' };
  }

  private async run(wanted: PlannedDeployment, situation: Situation, signal: AbortSignal): Promise<Course | null> {
    const { now, environments } = situation;
    const stages = stagesOf(wanted, situation);
    const deployment = draft(wanted, situation);
    const loads = await this.measure(wanted);
    const subject = { now, deployment, stages, environments, loads };
    const course = await untilDone(planDeployment(this.pipeline, subject), signal);
    return course && { ...course, gates: [...awaited(situation), ...course.gates] };
  }

  private async verify(
    { module, version, targetEnvironment }: PlannedDeployment,
    { artifact }: Situation,
  ): Promise<PlanGate | null> {
    const subject = { name: module, version, digest: artifact };
    const verdict = await checkSignatures(this.catalog, this.verifier, subject, environmentsUpTo(targetEnvironment));
    if (verdict.trusted) return null;
    return { stage: 'Verify', environment: null, because: reason('signature-refused', verdict.because), endsBy: null };
  }

  private async measure({ module, targetEnvironment }: PlannedDeployment): Promise<Map<EnvironmentName, MeasuredLoad>> {
    const to = await this.metrics.now();
    const from = new Date(to.getTime() - windowSeconds * 1000);
    const loads = new Map<EnvironmentName, MeasuredLoad>();
    for (const environment of environmentsUpTo(targetEnvironment)) {
      const [point] = await this.metrics.read({ environment, from, to, stepSeconds: null, module });
      const traffic = point?.traffic ?? [];
      const sum = (of: (each: (typeof traffic)[number]) => number) =>
        traffic.reduce((total, each) => total + of(each), 0);
      const requests = sum((each) => each.requests);
      if (requests === 0) continue;
      const latency = traffic[0]?.latency.map((_, bucket) => sum((each) => each.latency[bucket] ?? 0)) ?? [];
      const errorRate = sum((each) => each.failures) / requests;
      loads.set(environment, { requestsPerSecond: requests / windowSeconds, errorRate, latency });
    }
    return loads;
  }
}

/** A plan of many nodes takes seconds: other requests have their turn meanwhile. Null: it was not waited for. */
async function untilDone<T>(work: Generator<void, T>, signal: AbortSignal): Promise<T | null> {
  let since = performance.now();
  for (;;) {
    if (signal.aborted) return null;
    const turn = work.next();
    if (turn.done) return turn.value;
    if (performance.now() - since < turnMilliseconds) continue;
    await nextTurn();
    since = performance.now();
  }
}

/** What a deployment would be refused for, before its first stage. */
function findRefusal({ module, version, onConflict }: PlannedDeployment, situation: Situation): PlanGate | null {
  const { isWithdrawn, inProgress } = situation;
  if (isWithdrawn) return atTheStart(reason('version-withdrawn', `${module} ${version} was withdrawn`), null);
  if (inProgress === null || onConflict === 'supersede') return null;
  const because = reason('deployment-in-progress', `Deployment ${inProgress} of ${module} is under way`, {
    deployment: inProgress,
  });
  return atTheStart(because, null);
}

/** Who makes room first. */
function awaited({ inProgress }: Situation): PlanGate[] {
  if (inProgress === null) return [];
  const because = reason('superseding', `Deployment ${inProgress} is taken back first`, { supersedes: inProgress });
  return [atTheStart(because, 'Time')];
}

function atTheStart(because: Reason, endsBy: PlanGate['endsBy']): PlanGate {
  return { stage: null, environment: null, because, endsBy };
}

function refused(wanted: PlannedDeployment, situation: Situation, gate: PlanGate): Course {
  const stages = stagesOf(wanted, situation).map(({ name, environment, status }) => ({
    name,
    environment,
    status,
    seconds: 0,
    rollout: null,
  }));
  return { succeeds: false, seconds: 0, nodeSeconds, stages, gates: [gate] };
}

function stagesOf({ targetEnvironment, requireApproval }: PlannedDeployment, { environments }: Situation): Stage[] {
  const always = environments.filter(({ policy }) => policy.approval?.always).map(({ record }) => record.environment);
  return planStages(targetEnvironment, requireApproval, always).map(({ name, environment }, ordinal) => ({
    id: `stage-${ordinal}`,
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
  }));
}

/** The deployment as it would be written. */
function draft(wanted: PlannedDeployment, { now, artifact }: Situation): Deployment {
  const { module, version, targetEnvironment, requesterEmail, requireApproval, breakGlass = null } = wanted;
  return {
    id: 'planned',
    module,
    version,
    artifact,
    targetEnvironment,
    requesterEmail,
    description: null,
    metadata: {},
    requireApproval,
    breakGlass,
    retryOf: null,
    status: 'Pending',
    reason: reason('pending', 'Nobody has asked for it yet'),
    request: null,
    pausedAt: null,
    pauses: [],
    promotion: null,
    supersedes: null,
    rollbackReason: null,
    traceparent: null,
    createdAt: now,
    startedAt: null,
    finishedAt: null,
    revision: 0,
  };
}
