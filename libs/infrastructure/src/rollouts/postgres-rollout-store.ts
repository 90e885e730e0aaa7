import type { DeploymentView, PipelineDecision } from '@hotswap/domain';
import { RolloutStore } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { claimDue } from './claim-due.js';
import { commitDecision } from './commit-decision.js';
import { loadView } from './load-view.js';

@Injectable()
export class PostgresRolloutStore extends RolloutStore {
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
    return commitDecision(this.dataSource, view, decision);
  }
}
