import type { DeploymentView, PipelineDecision } from '@hotswap/domain';
import { eventsOf, RolloutStore, withLogFields } from '@hotswap/orchestrator';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { claimDue } from './claim-due.js';
import { commitDecision } from './commit-decision.js';
import { loadView } from './load-view.js';

@Injectable()
export class PostgresRolloutStore extends RolloutStore {
  private readonly logger = new Logger('Rollouts');

  constructor(private readonly dataSource: DataSource) {
    super();
  }

  claimDue(limit: number, leaseSeconds: number): Promise<string[]> {
    return claimDue(this.dataSource, limit, leaseSeconds);
  }

  loadView(deploymentId: string): Promise<DeploymentView | null> {
    return loadView(this.dataSource, deploymentId);
  }

  commit(view: DeploymentView, decision: PipelineDecision): Promise<'committed' | 'superseded'> {
    const { id, traceparent } = view.deployment;
    const traceId = traceparent?.split('-')[1];
    return withLogFields({ deploymentId: id, ...(traceId !== undefined && { traceId }) }, async () => {
      const outcome = await commitDecision(this.dataSource, view, decision);
      if (outcome === 'committed') this.tell(view, decision);
      return outcome;
    });
  }

  /** The deployment's story, in the log too. */
  private tell(view: DeploymentView, decision: PipelineDecision): void {
    const { module, version } = view.deployment;
    for (const { type, environment, message } of eventsOf(view, decision)) {
      this.logger.log({ message: `${module}@${version}: ${message}`, event: type, environment });
    }
  }
}
