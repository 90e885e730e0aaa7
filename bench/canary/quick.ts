import type { AnalysisParameters } from '@hotswap/domain';
import { scenarios } from './scenario.js';
import { judgeScenario } from './tables.js';

/** Seeds are fixed: every figure is the same at every run, on every machine. */
const options = { seed: 1, trials: 6, seconds: 900 };

/** In 15 minutes: none of these is rolled back … */
const healthy = ['standard', '1 node', 'global incident', 'total outage', '10 requests/min'];
/** … and each of these always, but for one run, whose containment by then is at least this early in the median (seconds). */
const worse: readonly [name: string, containedSeconds: number][] = [
  ['errors x50', 60],
  ['errors x5', 250],
  ['latency +100 %', 120],
  ['p99 only, 5 % x10', 150],
];

/** A small deterministic part of the bench. Prints each row; false where one is not as promised. */
export function passesQuickly(parameters: AnalysisParameters): boolean {
  const outcomes = [...healthy, ...worse.map(([name]) => name)].map((name) => {
    const scenario = scenarios.find((each) => each.name === name);
    if (!scenario) throw new RangeError(`no row is named "${name}"`);
    const { rolledBack, containedMedianSeconds } = judgeScenario(scenario, parameters, options);
    const limit = worse.find(([each]) => each === name)?.[1] ?? null;
    const count = Math.round(rolledBack.share * options.trials);
    const isAsPromised =
      limit === null
        ? count === 0
        : count >= options.trials - 1 && containedMedianSeconds !== null && containedMedianSeconds <= limit;
    const contained = containedMedianSeconds === null ? '' : `, contained after ${containedMedianSeconds} s`;
    console.log(`${isAsPromised ? 'ok  ' : 'FAIL'} ${name}: ${count} of ${options.trials} rolled back${contained}`);
    return isAsPromised;
  });
  return outcomes.every(Boolean);
}
