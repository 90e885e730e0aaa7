import {
  currentStage,
  defaultPolicy,
  EnvironmentCluster,
  environments,
  environmentsUpTo,
  KernelNode,
  planCluster,
  planStages,
  type AnalysisMemory,
  type Approval,
  type Deployment,
  type DeploymentRequest,
  type DeploymentView,
  type EnvironmentName,
  type EnvironmentRelease,
  type Evidence,
  type ModuleObservation,
  type NodeAssignment,
  type NodePlan,
  type PipelineDecision,
  type Policy,
  type Release,
  type Stage,
  type Traffic,
} from '@hotswap/domain';
import type { PlanSubject } from '../src/plan/plan-deployment.js';
import type { RolloutStore } from '../src/ports/rollout-store.js';

const module = 'payments';
const joinedLongAgo = Date.UTC(2029, 0, 1);

interface WorldNode {
  id: string;
  environment: EnvironmentName;
  plan: NodeAssignment | null;
  /** What the node has made true; lags behind `plan` until `settle`. */
  made: NodeAssignment | null;
  since: number;
  heartbeatAt: number;
}

export function release(name: string): Release {
  const version = `${name.slice(1)}.0.0`;
  return {
    digest: `sha256:${name}`,
    module,
    version,
    artifact: `sha256:artifact-${name}`,
    configurationRevision: 0,
    configuration: {},
  };
}

/** One module, four environments, one deployment, and a clock that the test moves: the rows a store keeps, in memory. */
export class World implements RolloutStore {
  now = Date.UTC(2030, 0, 1);
  readonly secondsPerPass: number;
  readonly nodes: WorldNode[];
  readonly records = new Map<EnvironmentName, EnvironmentRelease>();
  readonly decisions: PipelineDecision[] = [];
  readonly broken = new Set<string>();
  /** Nodes that say and do nothing any more. */
  readonly lost = new Set<string>();
  /** Canaries are analysed, though no node reports anything: nothing is ever proved. */
  isAnalysing = false;
  private readonly memories = new Map<string, AnalysisMemory>();
  signature: Evidence['status'] = 'Passed';
  withdrawal: DeploymentView['withdrawal'] = null;
  traffic: { target: Traffic; stable: Traffic; before: Traffic } = {
    target: { requests: 1000, failures: 0 },
    stable: { requests: 1000, failures: 0 },
    before: { requests: 1000, failures: 0 },
  };
  policyOf: (policy: Policy) => Policy = (policy) => policy;
  deployment: Deployment;
  stages: Stage[];
  private evidence: Evidence[] = [];
  private documentRevision = 1;

  constructor({
    stable,
    target,
    nodesPerEnvironment = 2,
    upTo = 'Production',
    requireApproval = false,
    alwaysApproved = [],
    secondsPerPass = 1,
  }: {
    stable: string | null;
    target: string;
    nodesPerEnvironment?: number;
    upTo?: EnvironmentName;
    requireApproval?: boolean;
    alwaysApproved?: EnvironmentName[];
    secondsPerPass?: number;
  }) {
    this.secondsPerPass = secondsPerPass;
    this.nodes = environments.flatMap((environment) =>
      Array.from({ length: nodesPerEnvironment }, (_, index) => ({
        id: `${environment}-${index + 1}`,
        environment,
        plan: null,
        made: null,
        since: this.now,
        heartbeatAt: this.now,
      })),
    );
    for (const environment of environments) {
      this.records.set(environment, {
        environment,
        module,
        release: stable ? release(stable) : null,
        previous: null,
        ownerStageId: null,
        revision: 1,
      });
    }
    this.deployment = newDeployment(release(target), upTo, this.now);
    this.stages = planStages(upTo, requireApproval, alwaysApproved).map(({ name, environment }, ordinal) =>
      newStage(name, environment, ordinal),
    );
    this.clusterPass();
    this.settle();
  }

  claimDue(): Promise<string[]> {
    return Promise.resolve([this.deployment.id]);
  }

  loadView(): Promise<DeploymentView | null> {
    if (['Succeeded', 'Failed', 'RolledBack', 'Cancelled', 'Superseded'].includes(this.deployment.status))
      return Promise.resolve(null);
    const stage = currentStage(this.stages);
    const environment = stage?.environment;
    const record = environment ? this.recordOf(environment) : null;
    return Promise.resolve({
      deployment: { ...this.deployment },
      stages: this.stages.map((stage) => ({ ...stage })),
      evidence: this.evidence.map((each) => ({ ...each, status: this.signature })),
      environment:
        environment && record
          ? {
              cluster: this.cluster(environment),
              policy: this.policyOf(defaultPolicy(environment)),
              record: { ...record },
              target: this.target,
              traffic: this.traffic,
              analysis:
                this.isAnalysing && stage.strategy === 'Canary'
                  ? { revision: 0, memory: this.memories.get(stage.id) ?? null, blocks: [] }
                  : undefined,
            }
          : null,
      withdrawal: this.withdrawal,
      now: this.now,
      revisions: { policy: 1, membership: 1, record: record?.revision ?? 0 },
    });
  }

  commit(view: DeploymentView, decision: PipelineDecision): Promise<'committed' | 'superseded'> {
    if (view.deployment.revision !== this.deployment.revision) return Promise.resolve('superseded');
    this.decisions.push(decision);
    if (decision.analysis && decision.stageId) this.memories.set(decision.stageId, decision.analysis.memory);
    this.deployment = {
      ...this.deployment,
      status: decision.status,
      reason: decision.because,
      rollbackReason: decision.rollbackReason,
      promotion: decision.usesPromotion ? null : this.deployment.promotion,
      revision: this.deployment.revision + 1,
    };
    for (const change of decision.stages) {
      const { stageId, ...fields } = change;
      this.stages = this.stages.map((stage) =>
        stage.id === stageId
          ? { ...stage, ...fields, startedAt: stage.startedAt ?? (fields.status === 'Running' ? this.now : null) }
          : stage,
      );
    }
    const environment = view.environment?.cluster.environment;
    if (decision.slot && environment) {
      const { ownerStageId, release: next, previous } = decision.slot;
      const record = this.recordOf(environment);
      this.records.set(environment, {
        ...record,
        ownerStageId,
        release: next,
        previous,
        revision: record.revision + 1,
      });
    }
    for (const { nodeId, plan } of decision.assign) this.assign(nodeId, plan);
    for (const request of decision.evidence) {
      this.evidence.push({
        ...request,
        status: 'Requested',
        message: null,
        data: {},
        requestedAt: this.now,
        deadlineAt: this.now + request.deadlineSeconds * 1000,
      });
    }
    return Promise.resolve('committed');
  }

  get target(): Release {
    return {
      ...release('v2'),
      digest: this.deployment.artifact.replace('artifact-', ''),
      artifact: this.deployment.artifact,
      version: this.deployment.version,
    };
  }

  /** What a person, or another deployment's row, changes in this one. */
  say(change: Partial<Deployment>): void {
    this.deployment = { ...this.deployment, ...change, revision: this.deployment.revision + 1 };
  }

  decideApproval(stageId: string, approval: Approval): void {
    this.stages = this.stages.map((stage) => (stage.id === stageId ? { ...stage, approval } : stage));
    this.say({});
  }

  request(request: DeploymentRequest): void {
    this.deployment = { ...this.deployment, request, revision: this.deployment.revision + 1 };
  }

  /** Nodes make true what they were last asked, and say so. */
  settle(): void {
    for (const node of this.nodes) {
      if (this.lost.has(node.id)) continue;
      if (node.made !== node.plan) node.since = this.now;
      node.made = node.plan;
      node.heartbeatAt = this.now;
    }
  }

  clusterPass(): void {
    for (const environment of environments) {
      for (const { nodeId, plan } of planCluster(this.cluster(environment))) this.assign(nodeId, plan);
    }
  }

  /** What each node of the environment gives its requests to, e.g. `v1`, `v1+v2@10`. */
  serving(environment: EnvironmentName): string[] {
    return this.nodes.filter((node) => node.environment === environment).map(({ made }) => show(made));
  }

  statusOf(name: string, environment: EnvironmentName | null = null): string | undefined {
    return this.stages.find(
      (stage) => stage.name === name && (environment === null || stage.environment === environment),
    )?.status;
  }

  /** A new node, which has nothing yet. */
  join(id: string, environment: EnvironmentName): void {
    const { now } = this;
    this.nodes.push({ id, environment, plan: null, made: null, since: now, heartbeatAt: now });
  }

  lose(nodeId: string): void {
    this.lost.add(nodeId);
    for (const node of this.nodes) if (node.id === nodeId) node.heartbeatAt = this.now - 60_000;
  }

  /** What a plan of this deployment would be made of now. */
  subject(): PlanSubject {
    const environments = this.way.map((environment) => ({
      cluster: this.cluster(environment),
      policy: this.policyOf(defaultPolicy(environment)),
      record: this.recordOf(environment),
      target: this.target,
    }));
    return { now: this.now, deployment: this.deployment, stages: this.stages, environments, loads: new Map() };
  }

  get way(): EnvironmentName[] {
    return environmentsUpTo(this.deployment.targetEnvironment);
  }

  private cluster(environment: EnvironmentName): EnvironmentCluster {
    const nodes = this.nodes.filter((node) => node.environment === environment).map((node) => this.kernelNode(node));
    return new EnvironmentCluster(environment, nodes, [this.recordOf(environment)], this.now, {
      beatAt: this.now,
      gaps: [],
    });
  }

  private recordOf(environment: EnvironmentName): EnvironmentRelease {
    const record = this.records.get(environment);
    if (!record) throw new Error(environment);
    return record;
  }

  private assign(nodeId: string, plan: NodePlan): void {
    const node = this.nodes.find(({ id }) => id === nodeId);
    if (node) node.plan = { ...plan, epoch: 1, revision: ++this.documentRevision };
  }

  private kernelNode(node: WorldNode): KernelNode {
    return new KernelNode({
      id: node.id,
      environment: node.environment,
      hostname: 'host',
      address: 'http://127.0.0.1:1',
      zone: null,
      bootId: 'boot',
      pid: 1,
      reportedState: 'Ready',
      joinedAt: joinedLongAgo,
      lastHeartbeatAt: node.heartbeatAt,
      accepted: node.made ? { epoch: 1, revision: node.made.revision } : { epoch: 1, revision: 1 },
      assignments: new Map(node.plan ? [[module, node.plan]] : []),
      observations: new Map(node.made ? [[module, this.observe(node.made, node.since)]] : []),
    });
  }

  private observe(made: NodeAssignment, since: number): ModuleObservation {
    const releases = [made.active, made.candidate, ...made.warm].filter((each) => each !== null);
    const isBroken = (each: Release | null) => each !== null && this.broken.has(each.version);
    return {
      active: isBroken(made.active) ? null : (made.active?.digest ?? null),
      candidate: isBroken(made.candidate) ? null : (made.candidate?.digest ?? null),
      candidatePercent: made.candidatePercent,
      servingFallback: false,
      since,
      instances: releases.map((each) => ({
        release: each.digest,
        version: each.version,
        state: isBroken(each) ? 'Failed' : 'Ready',
        error: isBroken(each) ? 'start: no configuration' : null,
        failureKind: isBroken(each) ? 'start' : null,
        crashes: 0,
      })),
    };
  }
}

function show(made: NodeAssignment | null): string {
  if (!made) return '-';
  const name = (each: Release) => each.digest.replace('sha256:', '');
  const share = made.candidate ? `+${name(made.candidate)}@${made.candidatePercent}` : '';
  return `${made.active ? name(made.active) : 'absent'}${share}`;
}

function newDeployment(target: Release, targetEnvironment: EnvironmentName, createdAt: number): Deployment {
  return {
    id: 'deployment-1',
    module,
    version: target.version,
    artifact: target.artifact,
    targetEnvironment,
    requesterEmail: 'user@example.com',
    description: null,
    metadata: {},
    requireApproval: false,
    breakGlass: null,
    retryOf: null,
    status: 'Pending',
    reason: { code: 'pending', message: 'Waiting for its turn', data: {} },
    request: null,
    pausedAt: null,
    pauses: [],
    promotion: null,
    supersedes: null,
    rollbackReason: null,
    traceparent: null,
    createdAt,
    startedAt: null,
    finishedAt: null,
    revision: 1,
  };
}

function newStage(name: Stage['name'], environment: EnvironmentName | null, ordinal: number): Stage {
  return {
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
  };
}
