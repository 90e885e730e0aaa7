import type { Progress } from '../deployment.js';
import type { Instant } from '../instant.js';
import type { NodePlan } from '../kernel-node.js';
import type { Reason } from '../reason.js';
import type { AnalysisChange } from './analysis-record.js';

export interface PlannedNode {
  nodeId: string;
  plan: NodePlan;
}

/** A strategy's answer to one look at the world. */
export type Decision = Move & {
  /** Where its analysis has come to, where it keeps one. */
  analysis?: AnalysisChange;
};

export type Move =
  | { kind: 'hold'; because: Reason; recheckAt: Instant | null }
  | { kind: 'advance'; because: Reason; assign: PlannedNode[]; progress: Progress }
  | { kind: 'roll-back'; because: Reason }
  | { kind: 'complete'; because: Reason };
