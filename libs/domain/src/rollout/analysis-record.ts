import type {
  AnalysisParameters,
  AnalysisState,
  AnalysisVerdict,
  NodeSample,
  RestartEvent,
  StageEvent,
} from '../analysis/index.js';
import type { Instant } from '../instant.js';

/** Where the analysis of one Deploy stage has come to. JSON; stored with every commit that went on with it. */
export interface AnalysisMemory {
  /** Second 0 of its stream. */
  beganAt: Instant;
  parameters: AnalysisParameters;
  state: AnalysisState;
  /** The newest look; null before the first block of a step. */
  standing: AnalysisVerdict | null;
}

/** What all nodes reported in one closed interval that ended at `at`. */
export interface ClosedBlock {
  at: Instant;
  nodes: readonly NodeSample[];
}

export interface AnalysisView {
  /** Of the memory as it is kept; 0 while there is none. Commit checks it. */
  revision: number;
  /** Null before the stage's first step. */
  memory: AnalysisMemory | null;
  /** Blocks that the memory has not taken in yet, in time order. */
  blocks: readonly ClosedBlock[];
}

/** A line of the stage's record beside its blocks: how it was driven, and what was said. With the blocks it makes a recording. */
export type AnalysisEntry = StageEvent | RestartEvent | ({ kind: 'verdict' } & AnalysisVerdict);

/** What a decision writes of the analysis. */
export interface AnalysisChange {
  memory: AnalysisMemory;
  entries: AnalysisEntry[];
}
