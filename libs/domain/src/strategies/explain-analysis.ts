import { reason, type Reason } from '../reason.js';
import type { AnalysisVerdict } from '../analysis/index.js';
import type { AnalysisMemory } from '../rollout/analysis-record.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { describe } from './guard.js';
import { isProbing } from './probe.js';

const metricWords: Record<string, string> = {
  err: 'errors against the twin',
  errS: 'errors against twin and stable',
  abs: 'the share of errors',
  p90: 'p90 latency',
  p99: 'p99 latency',
  cpu: 'CPU per request',
  mem: 'memory',
  grow: 'growing memory',
  silence: 'silence of its processes',
};

/** Why a target is contained or rolled back: the deciding metric, its numbers, and what users met. */
export function explainVerdict(view: RolloutView, verdict: AnalysisVerdict): Reason {
  const { traffic, target } = view;
  const isContained = verdict.verdict === 'contain';
  const because = verdict.because ?? 'err';
  const failed =
    isProbing(view) && traffic.target.requests === 0
      ? `found by smoke requests, no user has asked ${target.version}`
      : `${describe(traffic.target)} failed on ${target.version}`;
  const again = isContained ? '; it is taken off and tried once more with new processes' : '';
  return reason(
    isContained ? 'contained' : 'canary-worse',
    `${target.version} is worse than stable by ${metricWords[because] ?? because} (evidence ${number(verdict.E)}): ${failed}${again}`,
    { because, E: verdict.E, metrics: verdict.metrics, traffic },
  );
}

/** How strong the evidence is, both ways. */
export function explainStanding({ traffic, target }: RolloutView, memory: AnalysisMemory | null): string {
  const failed = `${describe(traffic.target)} failed on ${target.version}`;
  const standing = memory?.standing;
  if (!standing) return failed;
  const { alpha, beta } = memory.parameters;
  const against = `evidence against it ${number(standing.E)} of ${1 / alpha}`;
  const proof = `for it ${number(standing.proof.errors)} (errors) and ${number(standing.proof.latency)} (latency) of ${1 / beta}`;
  return `${failed}; ${against}, ${proof}`;
}

function number(value: number): string {
  return value >= 1e6 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
