import { environmentsUpTo, type EnvironmentName, type StrategyName } from './environment.js';
import type { Instant } from './instant.js';
import type { ListeningGap } from './listening.js';
import type { Reason } from './reason.js';
import type { Release } from './release.js';

export const deploymentStatuses = [
  'Pending',
  'Running',
  'AwaitingApproval',
  'Paused',
  'RollingBack',
  'Succeeded',
  'Failed',
  'RolledBack',
  'Cancelled',
  'Superseded',
] as const;
export type DeploymentStatus = (typeof deploymentStatuses)[number];

export const finalStatuses: readonly DeploymentStatus[] = [
  'Succeeded',
  'Failed',
  'RolledBack',
  'Cancelled',
  'Superseded',
];

export const stageStatuses = [
  'Pending',
  'Running',
  'Waiting',
  'Succeeded',
  'Skipped',
  'Failed',
  'RollingBack',
  'RolledBack',
] as const;
export type StageStatus = (typeof stageStatuses)[number];

export type StageName = 'Verify' | 'Approval' | 'Deploy' | 'Validate';

/** Where a Deploy stage stands; what can't be derived from nodes and assignments. */
export interface Progress {
  /** The step in hand; 0 is the scout. */
  number: number;
  of: number;
  /** Share of the requests (or, for strategies that move whole nodes, of the nodes) on the target when the step is done. */
  targetPercent: number;
  stepStartedAt: Instant;
  /** The one node that goes first, where the strategy has one. */
  scoutNodeId: string | null;
  /** Since when the target has been given requests; null: not yet. */
  exposedAt: Instant | null;
  /** Since when the step stands still because its target was taken off all nodes, to begin again with new processes. */
  containedAt?: Instant | null;
  /** When a person last let a step go on without waiting. */
  promotedAt?: Instant | null;
  /** Of a flip of all nodes at once: the time between the first and the last one's, by when their reports of it were kept. */
  flipSkewMilliseconds?: number | null;
  /** Since when nodes were last asked to send probes, because users' requests proved nothing in the step; before its start: in another one. */
  probingSince?: Instant | null;
}

/** How a Deploy stage was taken back. */
export interface StageRollback {
  /** When it was decided (or, of a deployment that had succeeded, asked for). */
  decidedAt: Instant;
  /** When the last live node had said that it is back; null: not all have. */
  confirmedAt: Instant | null;
  /** Live nodes that had to go back. */
  nodes: number;
  /** Of these, nodes that had the way back started, so that it was a flip. */
  warmNodes: number;
}

export interface Stage {
  id: string;
  /** Position in the deployment, from 0. */
  ordinal: number;
  name: StageName;
  /** Of Approval, Deploy and Validate. */
  environment: EnvironmentName | null;
  /** Of a Deploy stage that has started. */
  strategy: StrategyName | null;
  status: StageStatus;
  startedAt: Instant | null;
  finishedAt: Instant | null;
  /** What the environment ran when the stage started (the way back), and what it is to run; of a Deploy stage that has started. */
  from: Release | null;
  to: Release | null;
  progress: Progress | null;
  /** Of an Approval stage that has started. */
  approval: Approval | null;
  reason: Reason | null;
  /** Of a Deploy stage that was taken back. Left out: it was not. */
  rollback?: StageRollback | null;
}

/** What a person asked of an unfinished deployment; a fact in its row that the pipeline reads. The last one of `kind` that ends it stays. */
export type DeploymentRequest =
  | { kind: 'roll-back'; scope: 'environment' | 'all'; reason: string | null; at: Instant }
  | { kind: 'cancel'; reason: string | null; at: Instant }
  /** A newer deployment wants the environments: this one is taken back where it is, and ends Superseded. */
  | { kind: 'supersede'; by: string; at: Instant };

/** What people said of an Approval stage. */
export interface Approval {
  requestedAt: Instant;
  expiresAt: Instant;
  /** So many have to say yes; as the environment's policy was when they were asked. */
  required: number;
  /** Who has said yes so far: each once, none of them the requester. */
  approvals: Approver[];
  /** The last word: the first no, or the last yes that was needed. */
  verdict: (Approver & { approved: boolean }) | null;
}

export interface Approver {
  /** An e-mail address. */
  by: string;
  reason: string | null;
  at: Instant;
}

/** Why freezes are ignored, and who answers for it. */
export interface BreakGlass {
  reason: string;
  byEmail: string;
}

export interface Deployment {
  id: string;
  module: string;
  version: string;
  artifact: string;
  targetEnvironment: EnvironmentName;
  requesterEmail: string;
  description: string | null;
  metadata: Record<string, string>;
  requireApproval: boolean;
  /** Null: freezes hold. */
  breakGlass: BreakGlass | null;
  /** The deployment whose request this one repeats. */
  retryOf: string | null;
  status: DeploymentStatus;
  reason: Reason;
  request: DeploymentRequest | null;
  /** Since when a person has it paused; null: not paused. */
  pausedAt: Instant | null;
  /** Pauses that have ended: their time counts for no bake and no deadline. */
  pauses: ListeningGap[];
  /** A person asked to go on without waiting: this step, or all steps of the stage in hand. */
  promotion: 'step' | 'full' | null;
  /** The deployment whose environments this one takes over; it waits until that one has ended. */
  supersedes: { id: string; status: DeploymentStatus } | null;
  /** Why nodes are being taken back; stays when it is done. */
  rollbackReason: Reason | null;
  traceparent: string | null;
  createdAt: Instant;
  startedAt: Instant | null;
  finishedAt: Instant | null;
  revision: number;
}

/** The last words of deployments that may be asked for again. */
export const retryableStatuses: readonly DeploymentStatus[] = ['Failed', 'RolledBack', 'Cancelled'];

/**
 * The stages of a new deployment, in order: Verify, then per environment Approval (where the deployment or the environment's policy asks for
 * it) and Deploy, then Validate.
 */
export function planStages(
  target: EnvironmentName,
  requireApproval: boolean,
  alwaysApproved: readonly EnvironmentName[] = [],
): { name: StageName; environment: EnvironmentName | null }[] {
  return [
    { name: 'Verify' as const, environment: null },
    ...environmentsUpTo(target).flatMap((environment) => [
      ...((requireApproval && needsApproval(environment)) || alwaysApproved.includes(environment)
        ? [{ name: 'Approval' as const, environment }]
        : []),
      { name: 'Deploy' as const, environment },
    ]),
    { name: 'Validate' as const, environment: target },
  ];
}

/** How far a deployment is, 0-100: whole stages, plus the share of the running one that its steps are. */
export function progressPercent(stages: readonly Stage[]): number {
  if (stages.length === 0) return 0;
  const done = stages.reduce((sum, stage) => sum + shareDone(stage), 0);
  return Math.floor((done / stages.length) * 100);
}

/** The stage that the pipeline works on: one being taken back (the last first), else the first unfinished one. */
export function currentStage(stages: readonly Stage[]): Stage | null {
  return (
    stages.findLast(({ status }) => status === 'RollingBack') ??
    stages.find(({ status }) => status === 'Pending' || status === 'Running' || status === 'Waiting') ??
    null
  );
}

function needsApproval(environment: EnvironmentName): boolean {
  return environment === 'Staging' || environment === 'Production';
}

function shareDone({ status, progress }: Stage): number {
  if (status === 'Succeeded' || status === 'Skipped') return 1;
  if (status === 'Running' && progress) return Math.max(0, progress.number - 1) / progress.of;
  return 0;
}
