import type {
  Approval,
  BreakGlass,
  Deployment,
  DeploymentRequest,
  DeploymentStatus,
  EnvironmentName,
  Reason,
  Stage,
} from '@hotswap/domain';
import type { Page, PageRequest } from './page.js';

export interface NewDeployment {
  module: string;
  version: string;
  targetEnvironment: EnvironmentName;
  requesterEmail: string;
  description: string | null;
  metadata: Record<string, string>;
  requireApproval: boolean;
  /** Where another deployment of the module is under way in one of the environments: refused, or that one makes room first. */
  onConflict: 'reject' | 'supersede';
  traceparent: string | null;
  /** Header Idempotency-Key and a digest of the body it came with. */
  idempotency: { key: string; bodyDigest: string } | null;
  /** The plan that this deployment is to follow; left out: none was made. */
  planRevision?: string | null;
  /** Freezes are ignored; left out: they hold. */
  breakGlass?: BreakGlass | null;
  /** The deployment whose request it repeats; left out: it is no retry. */
  retryOf?: string | null;
}

export interface DeploymentRecord {
  deployment: Deployment;
  stages: Stage[];
  /** Nodes of the environment of each started Deploy stage, counted for display, by stage id. */
  nodes: Record<string, { total: number; updated: number; ready: number; failed: number }>;
  /** What users met of the new version while this deployment was (or is) under way, in all its environments together. */
  exposure: { seconds: number; requests: number; failures: number };
}

export type CreateOutcome = { kind: 'created'; id: string } | { kind: 'repeated'; id: string } | CreateRefusal;

/** Nothing was written. */
export type CreateRefusal =
  | {
      kind: 'module-not-found' | 'version-not-found' | 'version-withdrawn' | 'idempotency-key-reused' | 'plan-outdated';
    }
  | { kind: 'deployment-in-progress'; id: string };

export type RequestOutcome =
  | { kind: 'accepted' }
  | { kind: 'deployment-not-found' | 'not-running' | 'nothing-to-roll-back' }
  | { kind: 'not-current'; message: string }
  | { kind: 'deployment-in-progress'; id: string };

/** What a person wants of an unfinished deployment that goes on: to stand still, to go on, to go on without waiting. */
export type DeploymentControl = { reason: string | null } & (
  | { kind: 'pause' | 'resume' }
  /** `full`: all steps of the Deploy stage in hand, else the next one. */
  | { kind: 'promote'; full: boolean }
);

export type ControlOutcome = 'accepted' | 'deployment-not-found' | 'not-running' | 'not-paused' | 'nothing-to-promote';

export const approvalStatuses = ['Pending', 'Approved', 'Rejected', 'Expired'] as const;
export type ApprovalStatus = (typeof approvalStatuses)[number];

/** An approval that a deployment has asked for. */
export interface ApprovalRecord extends Approval {
  deploymentId: string;
  environment: EnvironmentName;
  module: string;
  version: string;
  artifact: string;
  requesterEmail: string;
  /** `Expired`: by its time, or because the deployment ended before anybody decided. */
  status: ApprovalStatus;
}

/** `by`: an e-mail address. */
export interface ApprovalVerdict {
  approved: boolean;
  by: string;
  reason: string | null;
}

export type VerdictOutcome =
  | { kind: 'accepted'; approval: ApprovalRecord }
  | { kind: 'deployment-not-found' | 'nothing-to-approve' | 'own-approval' };

export interface DeploymentFilter {
  status?: DeploymentStatus;
  module?: string;
  /** Deployments whose target it is. */
  environment?: EnvironmentName;
  /** Created at or after / before. */
  from?: Date;
  to?: Date;
}

export interface DeploymentEvent {
  id: number;
  at: Date;
  type: string;
  stage: string | null;
  environment: EnvironmentName | null;
  message: string;
  data: Record<string, unknown>;
}

/** A decision as it was committed. */
export interface DecisionRecord {
  id: number;
  at: Date;
  kind: string;
  /** Null for the end. */
  stage: string | null;
  environment: EnvironmentName | null;
  because: Reason;
  /** What it wrote, releases as digests. */
  changes: Record<string, unknown>;
  /** Revisions of what it had read, which still held then. */
  revisions: Record<string, unknown>;
}

/** What the API asks of deployments: create, look, and write down what people want of them. */
export abstract class DeploymentStore {
  /**
   * Writes the deployment and all its stages in one transaction. A unique index on unfinished Deploy stages per (environment, module)
   * decides conflicts. The artifact is the published version's. `plan-outdated`: what the plan depended on has changed since.
   */
  abstract create(deployment: NewDeployment): Promise<CreateOutcome>;
  abstract find(id: string): Promise<DeploymentRecord | null>;
  /** Newest first. */
  abstract list(filter: DeploymentFilter, page: PageRequest): Promise<Page<DeploymentRecord>>;
  /** Every decision but repeated waits, newest first; null: no such deployment. */
  abstract decisions(id: string, page: PageRequest): Promise<Page<DecisionRecord> | null>;
  /** Oldest first; null: no such deployment. */
  abstract events(id: string, page: PageRequest): Promise<Page<DeploymentEvent> | null>;
  /**
   * Up to `limit` events after that one, oldest first; null: no such deployment. Ids rise in the order of the commits, so that none can come
   * later with a lower one. `isOver`: the deployment has ended, and these are its last.
   */
  abstract eventsAfter(
    id: string,
    afterId: number,
    limit: number,
  ): Promise<{ events: DeploymentEvent[]; isOver: boolean } | null>;
  /**
   * Writes a request into the row and wakes the loop. A finished (`Succeeded`) deployment is reopened by `roll-back`: in one transaction its
   * Deploy stages in scope become `RollingBack` where the environment still runs what they brought (`not-current` otherwise), and the
   * deployment `RollingBack`. `nothing-to-roll-back`: no node was touched, or it is taken back already. `at` of the request is the store's.
   */
  abstract request(id: string, request: WithoutTime<DeploymentRequest>): Promise<RequestOutcome>;
  /**
   * Writes a control into the row, with its event, and wakes the loop. `pause` again changes nothing; `not-running`: it is over, or being taken
   * back. `resume` keeps the pause that it ends, whose time counts for no bake and no deadline. `nothing-to-promote`: no Deploy stage runs.
   */
  abstract control(id: string, control: DeploymentControl): Promise<ControlOutcome>;
  /** Newest first; null: of any status. */
  abstract approvals(status: ApprovalStatus | null, page: PageRequest): Promise<Page<ApprovalRecord>>;
  /**
   * Writes what a person says of the approval that the deployment waits for, with its event, and wakes the loop; who says yes again changes nothing.
   * `nothing-to-approve`: it waits for none, or no longer. `own-approval`: the requester may reject, but not approve.
   */
  abstract decideApproval(id: string, verdict: ApprovalVerdict): Promise<VerdictOutcome>;
}

type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;
