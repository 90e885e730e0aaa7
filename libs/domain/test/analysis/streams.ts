import { analyse, beginAnalysis } from '../../src/analysis/canary-analysis.js';
import type { AnalysisState, AnalysisVerdict } from '../../src/analysis/canary-analysis.js';
import type { AnalysisEvent, ArmSample, BlockEvent } from '../../src/analysis/events.js';
import type { AnalysisParameters } from '../../src/analysis/parameters.js';

/** An arm's second; a tenth of its requests are one latency bucket slower. */
export function arm(requests: number, errors = 0, more: Partial<ArmSample> = {}): ArmSample {
  const tail = Math.floor(requests / 10);
  return { requests, errors, latency: [0, requests - tail, tail, 0, 0, 0, 0], ...more };
}

export function block(at: number, nodes: Record<string, BlockEvent['nodes'][number]['arms']>): BlockEvent {
  return { kind: 'block', at, nodes: Object.entries(nodes).map(([id, arms]) => ({ id, arms })) };
}

/** Folds events; the state goes through JSON between any two. */
export function fold(parameters: AnalysisParameters, events: readonly AnalysisEvent[]) {
  let state: AnalysisState = beginAnalysis(parameters);
  const verdicts: AnalysisVerdict[] = [];
  for (const event of events) {
    const answer = analyse(parameters, state, event);
    state = JSON.parse(JSON.stringify(answer.state)) as AnalysisState;
    if (answer.verdict) verdicts.push(answer.verdict);
  }
  const actions = verdicts.filter(({ verdict }) => verdict !== 'none');
  return { state, verdicts, actions: actions.map(({ at, verdict, because }) => `${at} ${verdict} ${because}`) };
}
