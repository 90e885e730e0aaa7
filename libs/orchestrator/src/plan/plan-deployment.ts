import {
  currentStage,
  findViolations,
  finalStatuses,
  forecastDetection,
  reason,
  second,
  type Deployment,
  type DeploymentView,
  type EnvironmentName,
  type Instant,
  type PipelineDecision,
  type Stage,
} from '@hotswap/domain';
import type { DeploymentPipeline } from '../deployment-pipeline.js';
import type { PlannedEnvironment } from '../ports/plan-store.js';
import { DeploymentModel, nodeSeconds } from './deployment-model.js';
import type { DeploymentPlan, PlanCapacity, PlanGate, PlanPower, PlanStage, PlanStep } from './deployment-plan.js';
import type { MeasuredLoad } from './modelled-traffic.js';

/** Decisions of one plan; a rollout to a thousand nodes, one after the other, takes some ten thousand. */
const decisionsMax = 100_000;
/** A wait that has changed nothing for so long, and does not say when it ends, ends nowhere. */
const standstillMilliseconds = 4 * 86_400 * second;
/** The longer a wait lasts already, the longer until the next look: by this share of it, or its own time to look again. */
const lookShare = 1 / 50;
const looksMilliseconds = { least: 100, most: 1000 };
/** Holds that only a person ends, or a node that comes back: the model has neither. */
const endless = new Set(['nodes-lost']);
/** Holds that a promotion ends. */
const promotable = new Set(['awaiting-promotion', 'not-judged']);

interface Rollout {
  strategy: NonNullable<Stage['strategy']>;
  steps: PlanStep[];
  capacity: PlanCapacity;
}

/** The same hold at every look, until something changes. */
interface Wait {
  code: string;
  stageId: string | null;
  since: Instant;
}

/** A deployment that nobody has asked for yet, and where it would go. */
export interface PlanSubject {
  now: Instant;
  deployment: Deployment;
  stages: Stage[];
  environments: readonly PlannedEnvironment[];
  /** What was measured of the module; an environment without any traffic is left out. */
  loads: ReadonlyMap<EnvironmentName, MeasuredLoad>;
}

export type Course = Pick<DeploymentPlan, 'succeeds' | 'seconds' | 'nodeSeconds' | 'stages' | 'gates'>;

/**
 * Runs a deployment's pipeline on a model of its environments until it ends or stands still. Pure: the same subject gives the same course. The
 * decisions are those that the reconcile loop would commit; only time and nodes are the model's. Yields after each decision, so that whoever drives it
 * may do something else in between.
 */
export function* planDeployment(pipeline: DeploymentPipeline, subject: PlanSubject): Generator<void, Course> {
  const { now, deployment, environments, loads } = subject;
  const model = new DeploymentModel(now, deployment, subject.stages, environments, loads);
  const drive = new PlanDrive(pipeline, model);
  const succeeds = yield* drive.run();
  const stages = model.stages.map((stage) => drive.describe(stage, powerOf(stage, subject)));
  const seconds = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  return { succeeds, seconds: rounded(seconds), nodeSeconds, stages, gates: drive.gates };
}

class PlanDrive {
  readonly gates: PlanGate[] = [];
  private readonly rollouts = new Map<string, Rollout>();
  /** Milliseconds of work by stage id. */
  private readonly worked = new Map<string, number>();
  private wait: Wait | null = null;

  constructor(
    private readonly pipeline: DeploymentPipeline,
    private readonly model: DeploymentModel,
  ) {}

  /** Answers whether the deployment would succeed. */
  *run(): Generator<void, boolean> {
    for (let count = 0; count < decisionsMax; count++) {
      yield;
      const view = this.model.view();
      const decision = this.pipeline.decide(view);
      const [violation] = findViolations(view, decision);
      if (violation)
        throw new Error(`The plan came to a decision that is none: ${violation.rule} (${violation.detail})`);
      if (decision.rollbackReason) return this.stop(view, decision);
      this.note(view, decision);
      this.model.apply(decision);
      this.measure(view, decision);
      if (finalStatuses.includes(decision.status)) return true;
      if (decision.kind === 'hold' && !this.goOn(view, decision)) return this.stop(view, decision);
      if (decision.kind !== 'hold') this.wait = null;
    }
    const because = reason('plan-too-long', `The plan is not finished after ${decisionsMax} decisions`);
    this.gates.push({ stage: null, environment: null, because, endsBy: null });
    return false;
  }

  describe({ id, name, environment, status, from, to }: Stage, power: PlanPower | null): PlanStage {
    const seconds = rounded((this.worked.get(id) ?? 0) / second);
    const rollout = this.rollouts.get(id);
    return {
      name,
      environment,
      status,
      seconds,
      rollout:
        rollout && to
          ? {
              ...rollout,
              steps: rollout.steps.map((step) => ({ ...step, seconds: rounded(step.seconds) })),
              fromVersion: from?.version ?? null,
              toVersion: to.version,
              power,
            }
          : null,
    };
  }

  /** Takes down what a decision begins. */
  private note(view: DeploymentView, decision: PipelineDecision): void {
    for (const { stageId, strategy, status, progress } of decision.stages) {
      if (strategy && status === 'Running') {
        const capacity = { nodes: 0, servingMin: Number.POSITIVE_INFINITY, replacingMax: 0 };
        this.rollouts.set(stageId, { strategy, steps: [], capacity });
      }
      const steps = this.rollouts.get(stageId)?.steps;
      if (!progress || !steps) continue;
      const nodes = decision.assign.map(({ nodeId }) => nodeId);
      const before = view.stages.find(({ id }) => id === stageId)?.progress;
      const step = steps.at(-1);
      if (step && before?.number === progress.number) {
        step.nodes.push(...nodes.filter((id) => !step.nodes.includes(id)));
        continue;
      }
      const { number, of, targetPercent } = progress;
      steps.push({ number, of, targetPercent, message: decision.because.message, nodes, seconds: 0 });
    }
  }

  private measure(view: DeploymentView, { stageId }: PipelineDecision): void {
    const stage = currentStage(view.stages);
    const rollout = stageId && stage?.name === 'Deploy' ? this.rollouts.get(stageId) : undefined;
    const now = rollout && this.model.capacity();
    if (!rollout || !now || stage?.id !== currentStage(this.model.stages)?.id) return;
    const { servingMin, replacingMax } = rollout.capacity;
    rollout.capacity = {
      nodes: now.nodes,
      servingMin: Math.min(servingMin, now.serving),
      replacingMax: Math.max(replacingMax, now.replacing),
    };
  }

  /** Ends a wait or lets time pass; false: it ends nowhere. */
  private goOn(view: DeploymentView, decision: PipelineDecision): boolean {
    const { because, stageId, recheckAt } = decision;
    const stage = view.stages.find(({ id }) => id === stageId);
    if (endless.has(because.code)) return false;
    if (stage?.name === 'Approval') {
      this.gate(view, decision, 'Person');
      this.model.approve(stage.id);
      return true;
    }
    if (promotable.has(because.code) && this.model.deployment.promotion === null) {
      this.gate(view, decision, 'Person');
      this.model.promote();
      return true;
    }
    const until = typeof because.data['untilAt'] === 'string' ? Date.parse(because.data['untilAt']) : Number.NaN;
    if (because.code === 'frozen') {
      // Frozen again where it was to thaw: it is for ever.
      if (this.isSameWait(decision)) return false;
      this.wait = { code: because.code, stageId, since: until };
      this.gate(view, decision, 'Time');
      this.model.passTo(until);
      return true;
    }
    const { now } = this.model;
    const since = this.isSameWait(decision) ? (this.wait?.since ?? now) : now;
    this.wait = { code: because.code, stageId, since };
    const waited = now - since;
    const confirmsAt = this.model.nextConfirmationAt;
    const isAnnounced = until > now;
    if (confirmsAt === null && !isAnnounced && (recheckAt === null || waited > standstillMilliseconds)) return false;
    const look = Math.min(looksMilliseconds.most, Math.max(looksMilliseconds.least, (recheckAt ?? now) - now));
    const next = Math.min(
      confirmsAt ?? Number.POSITIVE_INFINITY,
      isAnnounced ? until : Number.POSITIVE_INFINITY,
      now + Math.max(look, Math.ceil(waited * lookShare)),
    );
    this.work(stageId, next - now);
    this.model.passTo(next);
    return true;
  }

  private isSameWait({ because, stageId }: PipelineDecision): boolean {
    return this.wait !== null && this.wait.code === because.code && this.wait.stageId === stageId;
  }

  private work(stageId: string | null, milliseconds: number): void {
    if (stageId === null) return;
    this.worked.set(stageId, (this.worked.get(stageId) ?? 0) + milliseconds);
    const step = this.rollouts.get(stageId)?.steps.at(-1);
    if (step) step.seconds += milliseconds / second;
  }

  private stop(view: DeploymentView, decision: PipelineDecision): false {
    this.gate(view, decision, null);
    return false;
  }

  private gate({ stages }: DeploymentView, { because, stageId }: PipelineDecision, endsBy: PlanGate['endsBy']): void {
    const stage = stages.find(({ id }) => id === stageId);
    this.gates.push({ stage: stage?.name ?? null, environment: stage?.environment ?? null, because, endsBy });
  }
}

function powerOf({ environment, strategy, from }: Stage, { environments, loads }: PlanSubject): PlanPower | null {
  const policy = environments.find(({ record }) => record.environment === environment)?.policy;
  const load = environment && loads.get(environment);
  if (strategy !== 'Canary' || !from || !policy?.canary.analysis || !load) return null;
  const { requestsPerSecond, errorRate } = load;
  return { requestsPerSecond, errorRate, steps: forecastDetection(policy, load) };
}

function rounded(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
