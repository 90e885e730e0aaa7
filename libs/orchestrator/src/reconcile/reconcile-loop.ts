import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { environments, type Violation } from '@hotswap/domain';
import { DeploymentPipeline } from '../deployment-pipeline.js';
import { withLogFields } from '../log-fields.js';
import { ClusterStore } from '../ports/cluster-store.js';
import { ControlPlaneClock } from '../ports/control-plane-clock.js';
import { leaseSeconds, RolloutStore } from '../ports/rollout-store.js';
import { TrafficPacker } from '../ports/traffic-packer.js';
import { WakeUps } from '../ports/wake-ups.js';
import { EvidenceGatherer } from './gather-evidence.js';
import { Pacemaker } from './pacemaker.js';
import { reconcileCluster } from './reconcile-cluster.js';
import { reconcileDeployment } from './reconcile-deployment.js';

const beatMilliseconds = 1000;
const packMilliseconds = 1000;
const pruneMilliseconds = 60_000;
const claimLimit = 8;

/**
 * Makes the world follow the rows: any replica may run it, none has to. Each duty has its own pace; wake-ups only make the deployments' and the
 * evidence's turn come sooner.
 */
@Injectable()
export class ReconcileLoop implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(ReconcileLoop.name);
  private readonly duties: Pacemaker[];
  /** The duties that a committed change may have given something to do. */
  private readonly nudged: Pacemaker[];
  private unsubscribe: () => void = () => undefined;

  constructor(
    private readonly rollouts: RolloutStore,
    private readonly clusters: ClusterStore,
    private readonly clock: ControlPlaneClock,
    private readonly wakeUps: WakeUps,
    private readonly evidence: EvidenceGatherer,
    private readonly pipeline: DeploymentPipeline,
    private readonly traffic: TrafficPacker,
  ) {
    this.nudged = [
      new Pacemaker(300, () => this.reconcileDue(), this.failed('Reconciling deployments')),
      new Pacemaker(1000, () => this.gatherEvidence(), this.failed('Gathering evidence')),
    ];
    this.duties = [
      ...this.nudged,
      new Pacemaker(beatMilliseconds, () => this.clock.beat(), this.failed('Beat')),
      new Pacemaker(1000, () => this.reconcileClusters(), this.failed('The cluster pass')),
      new Pacemaker(pruneMilliseconds, () => this.clock.prune(), this.failed('Pruning')),
      new Pacemaker(packMilliseconds, () => this.traffic.pack(), this.failed('Packing traffic')),
    ];
  }

  /** Beats before the first request is answered: whether nodes were heard since a gap is only known then. */
  async onApplicationBootstrap(): Promise<void> {
    await this.clock.beat().catch(this.failed('Beat'));
    for (const duty of this.duties) duty.start();
    this.unsubscribe = this.wakeUps.subscribe(() => this.nudged.forEach((duty) => duty.nudge()));
  }

  async onApplicationShutdown(): Promise<void> {
    this.unsubscribe();
    await Promise.all(this.duties.map((duty) => duty.stop()));
  }

  private failed(name: string): (error: unknown) => void {
    return (error) =>
      this.logger.warn(`${name} failed, tried again: ${error instanceof Error ? error.message : String(error)}`);
  }

  private async reconcileDue(): Promise<void> {
    for (;;) {
      const due = await this.rollouts.claimDue(claimLimit, leaseSeconds);
      await Promise.all(due.map((id) => this.reconcileOne(id)));
      if (due.length < claimLimit) return;
    }
  }

  /** One that fails holds up no other: its claim ends, and it is looked at again. */
  private async reconcileOne(id: string): Promise<void> {
    const alarm = (violations: Violation[]) =>
      this.logger.error(
        `Decision refused for deployment ${id}: ${violations.map(({ rule, detail }) => `${rule} (${detail})`).join('; ')}`,
      );
    await withLogFields({ deploymentId: id }, () =>
      reconcileDeployment(id, { store: this.rollouts, pipeline: this.pipeline, alarm }).catch(
        this.failed('Reconciling a deployment'),
      ),
    );
  }

  private async reconcileClusters(): Promise<void> {
    for (const environment of environments) await reconcileCluster(environment, this.clusters);
  }

  private async gatherEvidence(): Promise<void> {
    while ((await this.evidence.gather()) > 0);
  }
}
