import {
  DeploymentStore,
  type ApprovalRecord,
  type ApprovalStatus,
  type ApprovalVerdict,
  type ControlOutcome,
  type CreateOutcome,
  type DecisionRecord,
  type DeploymentControl,
  type DeploymentEvent,
  type DeploymentFilter,
  type DeploymentRecord,
  type NewDeployment,
  type Page,
  type PageRequest,
  type RequestOutcome,
  type VerdictOutcome,
} from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { controlDeployment } from './control-deployment.js';
import { decideApproval } from './decide-approval.js';
import { listApprovals } from './list-approvals.js';
import { createDeployment } from './create-deployment.js';
import { findDeployment, listDeployments } from './read-deployments.js';
import { listDecisions } from './list-decisions.js';
import { eventsAfter, listEvents } from './list-events.js';
import { requestChange, type ChangeRequest } from './request-change.js';

@Injectable()
export class PostgresDeploymentStore extends DeploymentStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  create(deployment: NewDeployment): Promise<CreateOutcome> {
    return createDeployment(this.dataSource, deployment);
  }

  async find(id: string): Promise<DeploymentRecord | null> {
    return isUuid(id) ? findDeployment(this.dataSource, id) : null;
  }

  list(filter: DeploymentFilter, page: PageRequest): Promise<Page<DeploymentRecord>> {
    return listDeployments(this.dataSource, filter, page);
  }

  async events(id: string, page: PageRequest): Promise<Page<DeploymentEvent> | null> {
    return isUuid(id) ? listEvents(this.dataSource.manager, id, page) : null;
  }

  async decisions(id: string, page: PageRequest): Promise<Page<DecisionRecord> | null> {
    return isUuid(id) ? listDecisions(this.dataSource.manager, id, page) : null;
  }

  async eventsAfter(id: string, afterId: number, limit: number): ReturnType<DeploymentStore['eventsAfter']> {
    return isUuid(id) ? eventsAfter(this.dataSource.manager, id, afterId, limit) : null;
  }

  async request(id: string, request: ChangeRequest): Promise<RequestOutcome> {
    return isUuid(id) ? requestChange(this.dataSource, id, request) : { kind: 'deployment-not-found' };
  }

  async control(id: string, control: DeploymentControl): Promise<ControlOutcome> {
    return isUuid(id) ? controlDeployment(this.dataSource, id, control) : 'deployment-not-found';
  }

  approvals(status: ApprovalStatus | null, page: PageRequest): Promise<Page<ApprovalRecord>> {
    return listApprovals(this.dataSource.manager, status, page);
  }

  async decideApproval(id: string, verdict: ApprovalVerdict): Promise<VerdictOutcome> {
    return isUuid(id) ? decideApproval(this.dataSource, id, verdict) : { kind: 'deployment-not-found' };
  }
}

/** Any other text is no deployment's id, and Postgres would refuse it. */
function isUuid(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
}
