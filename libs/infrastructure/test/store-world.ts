import { emptyLatencyHistogram, type NodeReport, type TrafficSample } from '@hotswap/agent-protocol';
import {
  reason,
  type DeploymentView,
  type EnvironmentName,
  type NodePlan,
  type PipelineDecision,
  type Release,
} from '@hotswap/domain';
import {
  describeRelease,
  type ClusterStore,
  type ControlPlaneClock,
  type DeploymentStore,
  type EvidenceStore,
  type NewDeployment,
  type NodeRegistry,
  type RolloutStore,
} from '@hotswap/orchestrator';
import { createHash } from 'node:crypto';

export const moduleName = 'payment-processor';

/** The stores that a rollout needs, on one database of any kind, and what tests do with them. */
export abstract class StoreWorld {
  abstract readonly deployments: Pick<DeploymentStore, 'create' | 'request' | 'control'>;
  abstract readonly rollouts: RolloutStore;
  abstract readonly clusters: ClusterStore;
  abstract readonly nodes: NodeRegistry;
  abstract readonly evidence: EvidenceStore;
  abstract readonly clock: ControlPlaneClock;

  abstract publish(version: string, name?: string): Promise<unknown>;
  /** Of the deployment's events, in order. */
  abstract eventTypes(id: string): Promise<string[]>;

  async deploy(version: string, targetEnvironment: EnvironmentName, wish: Partial<NewDeployment> = {}) {
    const outcome = await this.deployments.create(newDeployment(version, targetEnvironment, wish));
    if (outcome.kind !== 'created') throw new Error(`not created: ${JSON.stringify(outcome)}`);
    return outcome.id;
  }

  async join(nodeId: string, environment: EnvironmentName, bootId = `${nodeId}-boot`) {
    return this.nodes.join(joinRequest(nodeId, environment, bootId), `hash of ${nodeId}`, null);
  }

  async view(id: string): Promise<DeploymentView> {
    const view = await this.rollouts.loadView(id);
    if (!view) throw new Error(`no view of ${id}`);
    return view;
  }

  /** Commits a decision about the newest view, which must not be superseded. */
  async step(id: string, change: (view: DeploymentView) => Partial<PipelineDecision>): Promise<DeploymentView> {
    const view = await this.view(id);
    const outcome = await this.rollouts.commit(view, decision(view, change(view)));
    if (outcome !== 'committed') throw new Error(outcome);
    return view;
  }

  /** Brings a deployment to Development (its target) as the pipeline would: succeeded, and the environment runs it. */
  async succeedInDevelopment(version: string): Promise<string> {
    const id = await this.deploy(version, 'Development');
    await this.step(id, (view) => ({
      kind: 'complete-stage',
      status: 'Running',
      stages: [{ stageId: view.stages[0]!.id, status: 'Succeeded' }],
    }));
    await this.step(id, (view) => startDeploy(view));
    await this.step(id, (view) => completeDeploy(view));
    await this.step(id, (view) => ({
      kind: 'finish',
      status: 'Succeeded',
      stages: [{ stageId: view.stages[2]!.id, status: 'Succeeded' }],
    }));
    return id;
  }
}

export function newDeployment(
  version: string,
  targetEnvironment: EnvironmentName,
  wish: Partial<NewDeployment> = {},
): NewDeployment {
  return {
    module: moduleName,
    version,
    targetEnvironment,
    requesterEmail: 'user@example.com',
    description: 'a change',
    metadata: { ticket: 'PAY-1' },
    requireApproval: false,
    onConflict: 'reject',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    idempotency: null,
    ...wish,
  };
}

export function joinRequest(nodeId: string, environment: EnvironmentName, bootId: string) {
  return {
    nodeId,
    environment,
    bootId,
    pid: 4711,
    hostname: 'host',
    address: 'http://127.0.0.1:7301',
    zone: 'a',
    kernelVersion: '1.0.0',
    accepted: null as { epoch: number; revision: number } | null,
  };
}

export function artifactOf(version: string, name = moduleName): string {
  return `sha256:${createHash('sha256').update(`${name}@${version}`).digest('hex')}`;
}

export function releaseOf(version: string, name = moduleName): Release {
  return describeRelease({
    module: name,
    version,
    artifact: artifactOf(version, name),
    configurationRevision: 0,
    configuration: {},
  });
}

export function planOf(active: Release | null, candidate: Release | null = null, candidatePercent = 0): NodePlan {
  return { active, candidate, candidatePercent, warm: [], fallback: null };
}

/** A hold of the view's deployment, changed. */
export function decision(view: DeploymentView, change: Partial<PipelineDecision> = {}): PipelineDecision {
  return {
    kind: 'hold',
    because: reason('waiting', 'It waits', { count: 1 }),
    stageId: null,
    status: view.deployment.status,
    rollbackReason: null,
    stages: [],
    slot: null,
    assign: [],
    evidence: [],
    usesPromotion: false,
    recheckAt: view.now + 1000,
    ...change,
  };
}

/** The first step of a Deploy stage: owns the environment, and gives its nodes the target. */
export function startDeploy(view: DeploymentView): Partial<PipelineDecision> {
  const { record, target, cluster } = view.environment!;
  const stage = view.stages.find(({ name, environment }) => name === 'Deploy' && environment === record.environment)!;
  return {
    kind: 'advance',
    because: reason('started', 'All nodes get the target'),
    stageId: stage.id,
    status: 'Running',
    stages: [
      {
        stageId: stage.id,
        status: 'Running',
        strategy: 'Direct',
        from: record.release,
        to: target,
        progress: {
          number: 1,
          of: 1,
          targetPercent: 100,
          stepStartedAt: view.now,
          scoutNodeId: null,
          exposedAt: view.now,
        },
      },
    ],
    slot: { ownerStageId: stage.id, release: record.release, previous: record.previous },
    assign: cluster.nodes.map(({ id }) => ({ nodeId: id, plan: planOf(target) })),
  };
}

export function completeDeploy(view: DeploymentView): Partial<PipelineDecision> {
  const { record, target } = view.environment!;
  const stage = view.stages.find(({ name, environment }) => name === 'Deploy' && environment === record.environment)!;
  return {
    kind: 'complete-stage',
    because: reason('deployed', 'Every node runs the target'),
    stageId: stage.id,
    status: 'Running',
    stages: [{ stageId: stage.id, status: 'Succeeded' }],
    slot: { ownerStageId: null, release: target, previous: record.release },
  };
}

export function report(bootId: string, sequence: number, change: Partial<NodeReport> = {}): NodeReport {
  return {
    bootId,
    sequence,
    state: 'Ready',
    accepted: null,
    refused: null,
    intervalSeconds: 1,
    modules: [],
    traffic: [],
    process: { cpuSeconds: 0, rssBytes: 1, eventLoopDelaySeconds: 0 },
    ...change,
  };
}

export function sample(release: Release, requests: number, failures: number): TrafficSample {
  const latency = emptyLatencyHistogram();
  latency[10] = requests - failures;
  latency[125] = failures;
  return {
    module: release.module,
    release: release.digest,
    version: release.version,
    requests,
    failures,
    latency,
    latencySumSeconds: requests * 0.001,
    inFlight: 2,
    cpuSeconds: 0.5,
    rssBytes: 50_000_000,
    eventLoopDelaySeconds: 0.002,
  };
}
