import { stageRule } from './canary-plan.js';
import { addErrors, errorWealth, newErrorEvidence, startErrorEvidence } from './error-evidence.js';
import type { ErrorEvidence } from './error-evidence.js';
import type { AnalysisEvent, BlockEvent, RestartEvent, StageEvent } from './events.js';
import { addGauges, gaugeWealth, newGaugeEvidence, startGaugeEvidence } from './gauge-evidence.js';
import type { GaugeEvidence } from './gauge-evidence.js';
import {
  addLatency,
  latencyEdges,
  latencyWealth,
  newLatencyEvidence,
  startLatencyEvidence,
} from './latency-evidence.js';
import type { LatencyEvidence } from './latency-evidence.js';
import { metricNames } from './parameters.js';
import type { AnalysisParameters, MetricName } from './parameters.js';
import { poolBlock } from './pool.js';
import type { Pool } from './pool.js';
import { addToProof, newPromotionProof, proofWealth } from './promotion-proof.js';
import type { PromotionProof } from './promotion-proof.js';
import { addRequests, newSampleRatio, sampleRatioWealth } from './sample-ratio.js';
import type { SampleRatio } from './sample-ratio.js';

/**
 * What one look says. `contain`: weight 0 at once, restart C and T, then the same stage again. `rollback`, `void`: final.
 * `promote`: enter the next stage, after the last one 100 %. `void`: the router's coin is not the one it should be; hold.
 */
export type AnalysisVerdictKind = 'none' | 'contain' | 'rollback' | 'promote' | 'void';

export interface AnalysisVerdict {
  at: number;
  verdict: AnalysisVerdictKind;
  stage: number;
  /** True for a `promote` of the plan's last stage: to 100 %. */
  isLast: boolean;
  E: number;
  metrics: Partial<Record<MetricName, number>>;
  /** E of the proofs that the candidate is not worse; both must reach 1 / beta. */
  proof: { errors: number; latency: number };
  /** The heaviest metric, `silence`, `sample-ratio`, `proved` or `not judged`; null for `none`. */
  because: MetricName | 'silence' | 'sample-ratio' | 'proved' | 'not judged' | null;
}

/** All that is remembered of an attempt: one pair of candidate and twin processes per node. */
interface Attempt {
  beganAt: number;
  errors: ErrorEvidence;
  latency: LatencyEvidence;
  gauges: GaugeEvidence;
  proof: PromotionProof;
  /** Whether any block was taken in since the newest start. */
  isTouched: boolean;
  /** True from a containment until the new processes take requests: no clock runs. */
  isWaiting: boolean;
  /** Seconds in a row in which only the reference reported. */
  silentSeconds: number;
  /** Without a twin: when each node's candidate was first seen. */
  seenNodes: readonly { id: string; at: number }[];
}

/** JSON: stored with each decision, and folded further by whoever comes next. */
export interface AnalysisState {
  /** End of the last block. */
  at: number;
  stage: { stage: number; nodes: readonly string[]; weight: number; beganAt: number; isPromoted: boolean } | null;
  crossings: number;
  ended: 'rollback' | 'void' | null;
  attempt: Attempt;
  sampleRatio: SampleRatio;
}

/** No gap in the stream adds more than this to a silence: nobody listened. */
const silenceStepSeconds = 5;

export function beginAnalysis(parameters: AnalysisParameters, at = 0): AnalysisState {
  return {
    at,
    stage: null,
    crossings: 0,
    ended: null,
    attempt: newAttempt(parameters, at, false),
    sampleRatio: newSampleRatio(parameters),
  };
}

/**
 * Folds one event into the analysis. Pure: same state and event, same answer; the state given is left as it was. The verdict is
 * null where nothing is judged: stages, restarts, blocks of a weight that is no experiment or after the end. A block that does not
 * end after the last one was seen already, and changes nothing.
 */
export function analyse(
  parameters: AnalysisParameters,
  state: AnalysisState,
  event: AnalysisEvent,
): { state: AnalysisState; verdict: AnalysisVerdict | null } {
  switch (event.kind) {
    case 'stage':
      return { state: enterStage(parameters, state, event), verdict: null };
    case 'restart':
      return { state: noteRestart(state, event), verdict: null };
    case 'block':
      if (event.at <= state.at) return { state, verdict: null };
      if (state.stage === null || state.ended !== null || !isExperiment(parameters, state.stage.weight)) {
        return { state: { ...state, at: event.at }, verdict: null };
      }
      return judge(parameters, takeIn(parameters, state, state.stage, event));
  }
}

/** A weight of 0 (contained) or 1 compares nothing; with the twin, C and T take at most half each. */
function isExperiment({ twin }: AnalysisParameters, weight: number): boolean {
  return weight > 0 && (twin ? weight <= 0.5 : weight < 1);
}

function newAttempt(parameters: AnalysisParameters, beganAt: number, isWaiting: boolean): Attempt {
  return {
    beganAt,
    errors: newErrorEvidence(parameters),
    latency: newLatencyEvidence(parameters),
    gauges: newGaugeEvidence(parameters),
    proof: newPromotionProof(parameters),
    isTouched: false,
    isWaiting,
    silentSeconds: 0,
    seenNodes: [],
  };
}

function enterStage(parameters: AnalysisParameters, state: AnalysisState, event: StageEvent): AnalysisState {
  const { at, stage, nodes, weight } = event;
  const attempt: Attempt = state.attempt.isTouched
    ? {
        ...state.attempt,
        errors: startErrorEvidence(state.attempt.errors, parameters),
        latency: startLatencyEvidence(state.attempt.latency, parameters),
        gauges: startGaugeEvidence(state.attempt.gauges, parameters),
        isTouched: false,
      }
    : state.attempt;
  return {
    ...state,
    stage: { stage, nodes, weight, beganAt: at, isPromoted: false },
    attempt,
  };
}

/** New processes: what was measured of the old ones' memory and age is over, and the bake begins again. */
function noteRestart(state: AnalysisState, { at, arms }: RestartEvent): AnalysisState {
  if (!arms.some((arm) => arm !== 'S')) return state;
  const { attempt, stage } = state;
  return {
    ...state,
    stage: stage && attempt.isWaiting ? { ...stage, beganAt: at } : stage,
    attempt: {
      ...attempt,
      beganAt: at,
      gauges: { ...attempt.gauges, nodes: [] },
      isWaiting: false,
      silentSeconds: 0,
      seenNodes: [],
    },
  };
}

type Stage = NonNullable<AnalysisState['stage']>;

interface Look {
  state: AnalysisState;
  stage: Stage;
}

/** Adds a block to all evidence. */
function takeIn(parameters: AnalysisParameters, state: AnalysisState, stage: Stage, block: BlockEvent): Look {
  const elapsedSeconds = block.at - state.at;
  const seenNodes = parameters.twin ? [] : seeNodes(state, block);
  const seenAt = new Map(seenNodes.map((node) => [node.id, node.at]));
  const pool = poolBlock(
    parameters,
    stage,
    block,
    (id) => !parameters.twin && block.at <= (seenAt.get(id) ?? block.at) + parameters.excludedSeconds,
  );
  if (state.attempt.isWaiting && pool.nodes.length === 0) return stillWaiting(state, stage, block.at);
  const { attempt } = state;
  const edges = latencyEdges(attempt.latency, parameters);
  const bornAt = Math.max(state.at, stage.beganAt, attempt.beganAt);
  return {
    stage,
    state: {
      ...state,
      at: block.at,
      attempt: {
        ...attempt,
        errors: addErrors(attempt.errors, parameters, pool, stage.weight, elapsedSeconds),
        latency: addLatency(attempt.latency, parameters, pool, edges, elapsedSeconds),
        gauges: parameters.twin
          ? addGauges(attempt.gauges, parameters, pool.nodes, { from: state.at, to: block.at, bornAt })
          : attempt.gauges,
        proof: addToProof(attempt.proof, parameters, pool, edges),
        isTouched: attempt.isTouched || pool.nodes.length > 0,
        isWaiting: false,
        silentSeconds: silence(attempt.silentSeconds, pool, elapsedSeconds),
        seenNodes,
      },
      sampleRatio: addRequests(state.sampleRatio, parameters, pool),
    },
  };
}

function stillWaiting(state: AnalysisState, stage: Stage, at: number): Look {
  const waiting = { ...stage, beganAt: at };
  return { stage: waiting, state: { ...state, at, stage: waiting, attempt: { ...state.attempt, beganAt: at } } };
}

function seeNodes(state: AnalysisState, block: BlockEvent): Attempt['seenNodes'] {
  const { seenNodes } = state.attempt;
  const known = new Set(seenNodes.map((node) => node.id));
  const fresh = block.nodes.filter((node) => node.arms.C !== undefined && !known.has(node.id));
  return [...seenNodes, ...fresh.map(({ id }) => ({ id, at: state.at }))];
}

function silence(silentSeconds: number, pool: Pool, elapsedSeconds: number): number {
  if (pool.candidateReported) return 0;
  if (!pool.referenceReported) return silentSeconds;
  return silentSeconds + Math.min(silenceStepSeconds, elapsedSeconds);
}

/** First match wins: a broken experiment, a crossing, a silence, a proof or the end of the stage's time. */
function judge(parameters: AnalysisParameters, look: Look): { state: AnalysisState; verdict: AnalysisVerdict } {
  const { state, stage } = look;
  const { attempt } = state;
  const { W } = parameters;
  const wealth: Record<MetricName, number> = {
    ...errorWealth(attempt.errors, parameters),
    ...latencyWealth(attempt.latency, parameters),
    ...gaugeWealth(attempt.gauges, parameters),
  };
  const judged = metricNames.filter((name) => W[name] > 0);
  const E = judged.reduce((sum, name) => sum + W[name] * wealth[name], 0);
  const heaviest = judged.reduce((a, b) => (W[b] * wealth[b] > W[a] * wealth[a] ? b : a));
  const rule = stageRule(parameters, stage);
  const proof = proofWealth(attempt.proof, rule.planStage);
  const facts = {
    at: state.at,
    stage: stage.stage,
    isLast: rule.isLast,
    E,
    metrics: Object.fromEntries(judged.map((name) => [name, wealth[name]])),
    proof,
  };

  if (sampleRatioWealth(state.sampleRatio) >= parameters.voidAt) {
    return { state: { ...state, ended: 'void' }, verdict: { ...facts, verdict: 'void', because: 'sample-ratio' } };
  }
  if (E >= 1 / parameters.alpha) {
    // A leak cannot be tested again in minutes.
    const isFinal = state.crossings > 0 || heaviest === 'grow';
    return isFinal ? rollBack(state, facts, heaviest) : contain(parameters, state, stage, facts, heaviest);
  }
  if (attempt.silentSeconds >= parameters.silenceSeconds) {
    return state.crossings > 0
      ? rollBack(state, facts, 'silence')
      : contain(parameters, state, stage, facts, 'silence');
  }
  const isProved = Math.min(proof.errors, proof.latency) >= 1 / parameters.beta;
  const stageSeconds = state.at - stage.beganAt;
  const isDue = stageSeconds >= rule.limitSeconds || (isProved && stageSeconds >= parameters.minStage);
  const isBaked = !rule.isLast || state.at - attempt.beganAt >= parameters.bake;
  if (isDue && isBaked && !stage.isPromoted && !attempt.isWaiting) {
    return {
      state: { ...state, stage: { ...stage, isPromoted: true } },
      verdict: { ...facts, verdict: 'promote', because: isProved ? 'proved' : 'not judged' },
    };
  }
  return { state, verdict: { ...facts, verdict: 'none', because: null } };
}

type Facts = Omit<AnalysisVerdict, 'verdict' | 'because'>;

function rollBack(state: AnalysisState, facts: Facts, because: AnalysisVerdict['because']) {
  return {
    state: { ...state, ended: 'rollback' as const, crossings: state.crossings + 1 },
    verdict: { ...facts, verdict: 'rollback' as const, because },
  };
}

function contain(
  parameters: AnalysisParameters,
  state: AnalysisState,
  stage: Stage,
  facts: Facts,
  because: AnalysisVerdict['because'],
) {
  return {
    state: {
      ...state,
      crossings: state.crossings + 1,
      stage: { ...stage, beganAt: state.at, isPromoted: false },
      attempt: newAttempt(parameters, state.at, true),
    },
    verdict: { ...facts, verdict: 'contain' as const, because },
  };
}
