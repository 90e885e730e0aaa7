import type { AnalysisEntry, AnalysisEvent, AnalysisMemory, EnvironmentName, Release } from '@hotswap/domain';

/** How one Deploy stage was judged: with what numbers, how it was driven, and what was said. */
export interface StageAnalysis {
  stageId: string;
  environment: EnvironmentName;
  module: string;
  stable: Release | null;
  target: Release;
  beganAt: Date;
  /** The last block that was taken in. */
  until: Date;
  parameters: AnalysisMemory['parameters'];
  standing: AnalysisMemory['standing'];
  entries: AnalysisEntry[];
}

/** The record of analyses: kept with the commits of their rollouts; their blocks for 14 days. */
export abstract class AnalysisStore {
  /** In the order of the stages; null: no such deployment. */
  abstract find(deploymentId: string): Promise<StageAnalysis[] | null>;
  /** What the stage's analysis was given, in the order in which it took it in. */
  abstract events(stage: StageAnalysis): AsyncGenerator<AnalysisEvent>;
}
