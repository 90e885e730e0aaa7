import {
  currentStage,
  EnvironmentCluster,
  KernelNode,
  second,
  type AnalysisMemory,
  type Deployment,
  type DeploymentView,
  type EnvironmentName,
  type Evidence,
  type Instant,
  type KernelNodeFacts,
  type ModuleObservation,
  type NodeAssignment,
  type NodePlan,
  type PipelineDecision,
  type Release,
  type Stage,
} from '@hotswap/domain';
import type { PlannedEnvironment } from '../ports/plan-store.js';
import { ModelledTraffic, type MeasuredLoad } from './modelled-traffic.js';

/** How long a node is taken to need to load, start, test and confirm what it was asked. */
export const nodeSeconds = 2;

interface ModelledNode {
  facts: KernelNodeFacts;
  /** Silent ones stay silent. */
  readonly isLive: boolean;
  /** When it will say that it does what it was asked; null: it says so, or is not there to. */
  confirmsAt: Instant | null;
}

interface ModelledEnvironment extends Omit<PlannedEnvironment, 'cluster'> {
  cluster: EnvironmentCluster;
  nodes: ModelledNode[];
  traffic: ModelledTraffic;
}

/**
 * A deployment and the environments on its way, as rows that the pipeline's decisions change, with a clock that only moves when told. Live nodes make
 * true what they are asked; silent ones stay silent; whatever evidence is asked for is good.
 */
export class DeploymentModel {
  private readonly environments: Map<EnvironmentName, ModelledEnvironment>;
  private evidence: Evidence[] = [];
  private readonly memories = new Map<string, AnalysisMemory>();
  private documentRevision: number;

  constructor(
    public now: Instant,
    public deployment: Deployment,
    public stages: Stage[],
    environments: readonly PlannedEnvironment[],
    loads: ReadonlyMap<EnvironmentName, MeasuredLoad>,
  ) {
    this.environments = new Map(
      environments.map((each) => [each.record.environment, this.toModel(each, loads.get(each.record.environment))]),
    );
    const accepted = environments.flatMap(({ cluster }) =>
      cluster.nodes.map(({ facts }) => facts.accepted?.revision ?? 0),
    );
    this.documentRevision = Math.max(0, ...accepted);
  }

  view(): DeploymentView {
    const stage = currentStage(this.stages);
    const environment = stage?.environment ? this.environmentOf(stage.environment) : null;
    const memory = stage ? (this.memories.get(stage.id) ?? null) : null;
    return {
      deployment: this.deployment,
      stages: this.stages,
      evidence: this.evidence,
      environment: environment && {
        cluster: this.clusterOf(environment),
        policy: environment.policy,
        record: environment.record,
        target: stage?.to ?? environment.target,
        traffic: environment.traffic.sums,
        analysis:
          stage?.strategy === 'Canary' ? { revision: 0, memory, blocks: environment.traffic.takeBlocks() } : undefined,
      },
      now: this.now,
      revisions: { policy: 0, membership: 0, record: environment?.record.revision ?? 0 },
    };
  }

  /** What a commit of the decision would write. */
  apply(decision: PipelineDecision): void {
    const { status, because, rollbackReason, usesPromotion, slot, stageId } = decision;
    this.deployment = {
      ...this.deployment,
      status,
      reason: because,
      rollbackReason,
      promotion: usesPromotion ? null : this.deployment.promotion,
      startedAt: this.deployment.startedAt ?? this.now,
    };
    const environmentName = this.stages.find(({ id }) => id === stageId)?.environment;
    const environment = environmentName ? this.environmentOf(environmentName) : null;
    for (const { stageId: id, ...change } of decision.stages) {
      this.stages = this.stages.map((stage) => (stage.id === id ? this.changed(stage, change, environment) : stage));
    }
    if (slot && environment) {
      environment.record = { ...environment.record, ...slot, revision: environment.record.revision + 1 };
    }
    if (environment) for (const { nodeId, plan } of decision.assign) this.assign(environment, nodeId, plan);
    for (const request of decision.evidence) {
      this.evidence = [
        ...this.evidence,
        { ...request, data: {}, status: 'Passed', message: null, requestedAt: this.now, deadlineAt: this.now },
      ];
    }
    if (decision.analysis && stageId) this.memories.set(stageId, decision.analysis.memory);
  }

  /** The next moment at which a node confirms something; null: none will. */
  get nextConfirmationAt(): Instant | null {
    const moments = [...this.environments.values()].flatMap(({ nodes }) =>
      nodes.flatMap(({ confirmsAt }) => confirmsAt ?? []),
    );
    return moments.length === 0 ? null : Math.min(...moments);
  }

  /** Lets time pass: requests are served, and nodes confirm what is due. */
  passTo(at: Instant): void {
    const stage = currentStage(this.stages);
    const inHand = stage?.environment ? this.environmentOf(stage.environment) : null;
    if (inHand) inHand.traffic.pass(this.clusterOf(inHand).live, stage?.to ?? inHand.target, this.now, at);
    this.now = at;
    for (const { nodes } of this.environments.values()) {
      for (const node of nodes) if (node.confirmsAt !== null && node.confirmsAt <= at) this.confirm(node);
    }
  }

  /** Everyone who is asked says yes. */
  approve(stageId: string): void {
    const by = { by: 'anyone', reason: null, at: this.now };
    this.stages = this.stages.map((stage) =>
      stage.id === stageId && stage.approval
        ? { ...stage, approval: { ...stage.approval, verdict: { ...by, approved: true } } }
        : stage,
    );
  }

  promote(): void {
    this.deployment = { ...this.deployment, promotion: 'step' };
  }

  /** How the nodes of the environment in hand serve the module now; null for Verify. */
  capacity(): { nodes: number; serving: number; replacing: number } | null {
    const environment = currentStage(this.stages)?.environment;
    if (!environment) return null;
    const { module } = this.deployment;
    const cluster = this.clusterOf(this.environmentOf(environment));
    const members = cluster.nodes.filter(({ facts }) => facts.reportedState !== 'Gone');
    const active = (node: KernelNode) => node.observation(module)?.active ?? null;
    return {
      nodes: members.length,
      serving: cluster.live.filter((node) => active(node) !== null).length,
      replacing: cluster.live.filter((node) => {
        const wanted = node.assignment(module);
        return wanted !== null && active(node) !== null && wanted.active?.digest !== active(node);
      }).length,
    };
  }

  private toModel(
    { cluster, record, ...rest }: PlannedEnvironment,
    load: MeasuredLoad | undefined,
  ): ModelledEnvironment {
    const live = new Set(cluster.live);
    const { module } = this.deployment;
    const nodes = cluster.nodes.map((node) => {
      const active = node.assignment(module)?.active;
      const isLive = live.has(node);
      const isOnItsWay =
        isLive && node.assignment(module) && !node.confirms(module) && !(active && node.failureOf(module, active));
      return { facts: node.facts, isLive, confirmsAt: isOnItsWay ? this.now + nodeSeconds * second : null };
    });
    // Whoever owns the environment now is over, or is asked to make room, before this deployment begins.
    return {
      ...rest,
      cluster,
      record: { ...record, ownerStageId: null },
      nodes,
      traffic: new ModelledTraffic(load ?? null),
    };
  }

  private environmentOf(name: EnvironmentName): ModelledEnvironment {
    const environment = this.environments.get(name);
    if (!environment) throw new Error(`${name} is not on the way of this plan`);
    return environment;
  }

  private clusterOf({ cluster, nodes, record }: ModelledEnvironment): EnvironmentCluster {
    const heard = nodes.map(
      ({ facts, isLive }) => new KernelNode(isLive ? { ...facts, lastHeartbeatAt: this.now } : facts),
    );
    const listening = { ...cluster.listening, beatAt: this.now };
    return new EnvironmentCluster(cluster.environment, heard, [record], this.now, listening);
  }

  private changed(
    stage: Stage,
    change: Omit<PipelineDecision['stages'][number], 'stageId'>,
    environment: ModelledEnvironment | null,
  ): Stage {
    const next = { ...stage, ...change };
    const isStepNew = change.progress && change.progress.stepStartedAt !== stage.progress?.stepStartedAt;
    if (isStepNew && next.strategy !== 'Rolling') environment?.traffic.beginStep();
    const isStarted = next.status !== 'Pending' && next.status !== 'Skipped';
    return { ...next, startedAt: stage.startedAt ?? (isStarted ? this.now : null) };
  }

  private assign(environment: ModelledEnvironment, nodeId: string, plan: NodePlan): void {
    const node = environment.nodes.find(({ facts }) => facts.id === nodeId);
    if (!node) return;
    const { module } = this.deployment;
    const epoch = Math.max(1, node.facts.accepted?.epoch ?? 0, node.facts.assignments.get(module)?.epoch ?? 0);
    const assignment: NodeAssignment = { ...plan, epoch, revision: ++this.documentRevision };
    node.facts = { ...node.facts, assignments: new Map([...node.facts.assignments, [module, assignment]]) };
    node.confirmsAt = node.isLive ? this.now + nodeSeconds * second : null;
  }

  private confirm(node: ModelledNode): void {
    const { module } = this.deployment;
    const assignment = node.facts.assignments.get(module);
    node.confirmsAt = null;
    if (!assignment) return;
    const { epoch, revision } = assignment;
    node.facts = {
      ...node.facts,
      reportedState: 'Ready',
      accepted: { epoch, revision },
      observations: new Map([...node.facts.observations, [module, observationOf(assignment, this.now)]]),
    };
  }
}

function observationOf({ active, candidate, candidatePercent, warm }: NodePlan, since: Instant): ModuleObservation {
  const instance = (release: Release, state: 'Active' | 'Ready' | 'Warm') => ({
    release: release.digest,
    version: release.version,
    state,
    error: null,
    failureKind: null,
    crashes: 0,
  });
  return {
    active: active?.digest ?? null,
    candidate: candidate?.digest ?? null,
    candidatePercent,
    servingFallback: false,
    since,
    instances: [
      ...(active ? [instance(active, 'Active')] : []),
      ...(candidate ? [instance(candidate, 'Ready')] : []),
      ...warm.map((release) => instance(release, 'Warm')),
    ],
  };
}
