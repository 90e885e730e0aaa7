import { analyse, beginAnalysis } from '../canary-analysis.js';
import type { AnalysisState, AnalysisVerdict } from '../canary-analysis.js';
import { experimentStages } from '../canary-plan.js';
import type { AnalysisEvent, StageEvent } from '../events.js';
import { resolveParameters } from '../parameters.js';
import type { AnalysisParameters } from '../parameters.js';
import { parseDeployment, parseEvent } from './parse-record.js';
import type { DeploymentRecord, Line } from './parse-record.js';
import { RecordingError } from './recording-error.js';

/** A line of the output: a verdict, or at the end the summary. */
export type OutputLine = Record<string, unknown>;

/**
 * Replays a recording: one output line per verdict other than `none`, then the summary. With `stage` lines the stages are as recorded;
 * without, the plan decides by the verdicts. `overrides` win over the recording's own parameters. Throws RecordingError, or
 * AnalysisParameterError for parameters.
 */
export async function* analyseRecording(
  lines: AsyncIterable<Line>,
  overrides: Record<string, unknown>,
): AsyncGenerator<OutputLine> {
  let replay: Replay | null = null;
  for await (const line of lines) {
    if (line.text.trim() === '') continue;
    if (replay === null) {
      replay = beginReplay(parseDeployment(line), overrides);
    } else {
      const verdict = replayEvent(replay, parseEvent(line, replay.deployment), line.number);
      if (verdict) yield formatVerdict(verdict);
    }
  }
  if (replay === null) throw new RecordingError(1, 'is missing: the recording is empty');
  yield { summary: true, verdict: replay.outcome, at: replay.outcomeAt ?? replay.blockAt, blocks: replay.blockCount };
}

interface Replay {
  deployment: DeploymentRecord;
  overrides: Record<string, unknown>;
  parameters: AnalysisParameters;
  state: AnalysisState;
  /** The stages still to come where the plan decides; null: stages are recorded. */
  ahead: Omit<StageEvent, 'kind' | 'at'>[] | null;
  stage: StageEvent | null;
  isTwinKnown: boolean;
  eventAt: number;
  blockAt: number;
  blockCount: number;
  outcome: 'rollback' | 'promoted' | 'undecided';
  outcomeAt: number | null;
}

function beginReplay(deployment: DeploymentRecord, given: Record<string, unknown>): Replay {
  const overrides = mergeOverrides(deployment.parameters, given);
  const parameters = resolveParameters(overrides);
  return {
    deployment,
    overrides,
    parameters,
    state: beginAnalysis(parameters),
    ahead: null,
    stage: null,
    isTwinKnown: 'twin' in overrides,
    eventAt: 0,
    blockAt: 0,
    blockCount: 0,
    outcome: 'undecided',
    outcomeAt: null,
  };
}

function mergeOverrides(recorded: unknown, given: Record<string, unknown>): Record<string, unknown> {
  if (typeof recorded !== 'object' || recorded === null) throw new RecordingError(1, '"parameters" must be an object');
  const base = recorded as Record<string, unknown>;
  const merged: Record<string, unknown> = { ...base, ...given };
  for (const name of ['W', 'lvl']) {
    if (name in base && name in given) merged[name] = { ...(base[name] as object), ...(given[name] as object) };
  }
  return merged;
}

function replayEvent(replay: Replay, event: AnalysisEvent, lineNumber: number): AnalysisVerdict | null {
  checkOrder(replay, event, lineNumber);
  replay.eventAt = event.at;
  if (event.kind === 'block') {
    replay.blockAt = event.at;
    replay.blockCount += 1;
    if (replay.stage === null) beginPlan(replay);
    recogniseTwin(replay, event);
  } else if (event.kind === 'stage') {
    replay.stage = event;
  }
  // The plan is over, or the end came: nothing is judged any more.
  if (replay.outcome !== 'undecided' && (replay.ahead !== null || replay.outcome === 'rollback')) return null;
  const { state, verdict } = analyse(replay.parameters, replay.state, event);
  replay.state = state;
  if (verdict === null || verdict.verdict === 'none') return null;
  follow(replay, verdict);
  return verdict;
}

function checkOrder(replay: Replay, event: AnalysisEvent, lineNumber: number): void {
  if (event.at < replay.eventAt) {
    throw new RecordingError(
      lineNumber,
      `"at" is ${event.at}, before ${replay.eventAt} above; lines are in time order`,
    );
  }
  if (event.kind === 'block' && event.at <= replay.blockAt) {
    throw new RecordingError(
      lineNumber,
      `the block's "at" is ${event.at}, not after ${replay.blockAt}, where it begins`,
    );
  }
  if (event.kind === 'stage' && replay.ahead !== null) {
    throw new RecordingError(
      lineNumber,
      'a stage after blocks without one; record all stages, from the first, or none',
    );
  }
}

function beginPlan(replay: Replay): void {
  const { deployment, parameters } = replay;
  replay.ahead = experimentStages(parameters, deployment.nodes, deployment.requestsPerSecond);
  enterNextStage(replay, 0);
}

function enterNextStage(replay: Replay, at: number): void {
  const next = replay.ahead?.shift();
  if (next === undefined) return;
  replay.stage = { kind: 'stage', at, ...next };
  replay.state = analyse(replay.parameters, replay.state, replay.stage).state;
}

/** A recording in which the candidate takes requests and no twin does was made without one, unless `twin` says otherwise. */
function recogniseTwin(replay: Replay, block: Extract<AnalysisEvent, { kind: 'block' }>): void {
  if (replay.isTwinKnown || !block.nodes.some((node) => node.arms.C ?? node.arms.T)) return;
  replay.isTwinKnown = true;
  if (block.nodes.some((node) => node.arms.T)) return;
  replay.parameters = resolveParameters({ ...replay.overrides, twin: false });
  replay.state = beginAnalysis(replay.parameters, replay.state.at);
  if (replay.stage) replay.state = analyse(replay.parameters, replay.state, replay.stage).state;
}

function follow(replay: Replay, { verdict, at, isLast }: AnalysisVerdict): void {
  if (verdict === 'rollback' || (verdict === 'promote' && isLast)) {
    replay.outcome = verdict === 'rollback' ? 'rollback' : 'promoted';
    replay.outcomeAt = at;
  } else if (verdict === 'promote') {
    enterNextStage(replay, at);
  }
}

function formatVerdict({ at, verdict, stage, E, metrics, because }: AnalysisVerdict): OutputLine {
  const rounded = Object.entries(metrics).map(([name, value]) => [name, round(value)]);
  return { at, verdict, stage, E: round(E), metrics: Object.fromEntries(rounded) as unknown, because };
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}
