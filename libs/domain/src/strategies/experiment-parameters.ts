import { resolveParameters, type AnalysisParameters } from '../analysis/index.js';
import type { CanaryAnalysis } from '../policy.js';
import type { Step } from './steps.js';

/** The steps in which target and reference can be compared: with the twin both take as much, so at most half. */
export function experimentSteps(steps: readonly Step[], twin: boolean): readonly Step[] {
  return steps.filter(({ targetPercent }) => (twin ? targetPercent <= 50 : targetPercent < 100));
}

/**
 * Without a twin stable is older than the target and serves up to 19 times as much. On real processes a healthy target is then slower for minutes, by its
 * unwarmed code alone: latency is no evidence against it.
 */
const errorsOnly = { W: { p90: 0, p99: 0 } };

/** The analysis' numbers with the policy's steps as its plan. */
export function experimentParameters(
  steps: readonly Step[],
  { twin, bakeSeconds, parameters }: CanaryAnalysis,
): AnalysisParameters {
  const planned = experimentSteps(steps, twin);
  const plan = planned.map(
    ({ targetPercent, number, bake }) =>
      [number === 0 ? 1 : 'all', Math.min(0.5, targetPercent / 100), bake.maximumSeconds] as const,
  );
  const shape =
    planned.length === 0
      ? {}
      : { plan, R: plan.map(([, weight]) => ratioToDisprove(weight)), J: Math.max(5, plan.length) };
  return resolveParameters({ twin, bake: bakeSeconds, ...shape, ...(twin ? {} : errorsOnly), ...parameters });
}

/** The larger the share, the finer the difference that has to be ruled out. */
function ratioToDisprove(weight: number): number {
  if (weight <= 0.1) return 5;
  return weight <= 0.3 ? 3 : 2;
}
