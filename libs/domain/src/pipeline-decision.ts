import type { Approval, DeploymentStatus, Progress, StageRollback, StageStatus } from './deployment.js';
import type { StrategyName } from './environment.js';
import type { Instant } from './instant.js';
import type { Reason } from './reason.js';
import type { Release } from './release.js';
import type { AnalysisChange } from './rollout/analysis-record.js';
import type { PlannedNode } from './rollout/decision.js';
import type { EvidenceRequest } from './rollout/evidence.js';

/** What changes in one stage; a field that is left out stays. `startedAt` and `finishedAt` follow from the status. */
export interface StageChange {
  stageId: string;
  status?: StageStatus;
  strategy?: StrategyName;
  from?: Release | null;
  to?: Release;
  progress?: Progress;
  approval?: Approval;
  rollback?: StageRollback;
  reason?: Reason;
}

/** What changes in the record of what the stage's environment runs. */
export interface SlotChange {
  ownerStageId: string | null;
  release: Release | null;
  previous: Release | null;
}

/** One step of a deployment: what `commit` writes in one transaction. */
export interface PipelineDecision {
  kind: 'hold' | 'gather' | 'advance' | 'complete-stage' | 'roll-back' | 'finish';
  because: Reason;
  /** The stage in hand, which `assign` and `slot` are about; null once all are finished. */
  stageId: string | null;
  status: DeploymentStatus;
  /** Why nodes are being taken back; set once. */
  rollbackReason: Reason | null;
  stages: StageChange[];
  slot: SlotChange | null;
  assign: PlannedNode[];
  evidence: EvidenceRequest[];
  /** Where the analysis of the stage in hand has come to. */
  analysis?: AnalysisChange;
  /** What the stage in hand was promoted for has happened: `promotion` is forgotten. */
  usesPromotion: boolean;
  /** Null: nothing to look at until someone writes the deployment. */
  recheckAt: Instant | null;
}
