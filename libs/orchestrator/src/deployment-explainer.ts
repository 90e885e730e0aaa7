import { Injectable } from '@nestjs/common';
import { currentStage, type DeploymentStatus, type Instant, type Reason, type Stage } from '@hotswap/domain';
import { DeploymentPipeline } from './deployment-pipeline.js';
import { DeploymentStore } from './ports/deployment-store.js';
import { RolloutStore } from './ports/rollout-store.js';

/** What a wait ends by; null: there is none. */
export type WaitsFor = 'Time' | 'Nodes' | 'Evidence' | 'Deployment' | 'Person' | null;

/** Why a deployment is where it is. */
export interface Explanation {
  status: DeploymentStatus;
  /** The stage in hand; null once it has ended. */
  stage: Stage | null;
  /** The rule that holds, with its numbers. */
  because: Reason;
  waitsFor: WaitsFor;
  /** ISO 8601; null: the wait does not end by itself. */
  untilAt: string | null;
  /** When the control plane looks again, if nothing happens before. */
  recheckAt: Instant | null;
}

const waits: Record<string, WaitsFor> = {
  baking: 'Time',
  'minimum-ready': 'Time',
  validating: 'Time',
  verifying: 'Evidence',
  frozen: 'Time',
  'catching-up': 'Time',
  suspicious: 'Time',
  'gathering-evidence': 'Evidence',
  probing: 'Evidence',
  'awaiting-check': 'Evidence',
  superseding: 'Deployment',
  'awaiting-approval': 'Person',
  'awaiting-promotion': 'Person',
  'not-judged': 'Person',
  'sample-ratio': 'Person',
  'strategy-missing': 'Person',
  'rollback-unconfirmed': 'Person',
  paused: 'Person',
  'stable-broken': 'Person',
};

/** Explains by deciding: the pipeline is pure, so what it answers now is what the next pass would commit. */
@Injectable()
export class DeploymentExplainer {
  constructor(
    private readonly deployments: DeploymentStore,
    private readonly rollouts: RolloutStore,
    private readonly pipeline: DeploymentPipeline,
  ) {}

  /** Writes nothing. Null: no such deployment. */
  async explain(id: string): Promise<Explanation | null> {
    const view = await this.rollouts.loadView(id);
    if (!view) return this.explainEnd(id);
    const { kind, because, recheckAt } = this.pipeline.decide(view);
    const isWaiting = kind === 'hold' || kind === 'gather';
    const { untilAt } = because.data;
    return {
      status: view.deployment.status,
      stage: currentStage(view.stages),
      because,
      waitsFor: isWaiting ? (waits[because.code] ?? 'Nodes') : null,
      untilAt: isWaiting && typeof untilAt === 'string' ? untilAt : null,
      recheckAt,
    };
  }

  private async explainEnd(id: string): Promise<Explanation | null> {
    const record = await this.deployments.find(id);
    if (!record) return null;
    const { status, reason } = record.deployment;
    return { status, stage: null, because: reason, waitsFor: null, untilAt: null, recheckAt: null };
  }
}
