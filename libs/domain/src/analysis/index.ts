export { analyse, beginAnalysis } from './canary-analysis.js';
export type { AnalysisState, AnalysisVerdict, AnalysisVerdictKind } from './canary-analysis.js';
export { experimentStages, stageRule } from './canary-plan.js';
export type { StageRule } from './canary-plan.js';
export { detectionMinutes } from './detection-time.js';
export type { DetectionQuestion } from './detection-time.js';
export type { AnalysisEvent, Arm, ArmSample, BlockEvent, NodeSample, RestartEvent, StageEvent } from './events.js';
export {
  AnalysisParameterError,
  metricNames,
  resolveParameters,
  standardParameters,
  withoutTwinParameters,
} from './parameters.js';
export type { AnalysisParameters, GaugeName, MetricName, PlanEntry } from './parameters.js';
export { analyseRecording } from './recording/analyse-recording.js';
export type { OutputLine } from './recording/analyse-recording.js';
export type { DeploymentRecord, Line } from './recording/parse-record.js';
export { writeRecording } from './recording/write-recording.js';
export { RecordingError } from './recording/recording-error.js';
