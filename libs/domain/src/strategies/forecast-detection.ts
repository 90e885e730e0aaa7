import { detectionMinutes } from '../analysis/index.js';
import type { Policy } from '../policy.js';
import { experimentParameters } from './experiment-parameters.js';

/** How many times as many errors a candidate is taken to make. */
export const forecastRatios = [2, 5, 50] as const;

/** Fewer than one error in ten thousand requests is taken as that many: less was hardly ever counted. */
const errorRateMin = 0.0001;

export interface DetectionForecast {
  percent: number;
  /** Minutes until the ratio would be contained at this share; null: never, by the margins or for want of requests. */
  minutes: Record<string, number | null>;
}

/** For each share of the policy's canary: how long it would take, at this traffic, to find an error rate that is so many times as high. */
export function forecastDetection(
  { canary }: Policy,
  { requestsPerSecond, errorRate }: { requestsPerSecond: number; errorRate: number },
): DetectionForecast[] {
  if (!canary.analysis) return [];
  const parameters = experimentParameters([], canary.analysis);
  return canary.steps
    .filter(({ percent }) => (parameters.twin ? percent <= 50 : percent < 100))
    .map(({ percent }) => ({
      percent,
      minutes: Object.fromEntries(
        forecastRatios.map((errorRatio) => {
          const minutes = detectionMinutes(parameters, {
            requestsPerSecond,
            errorRate: Math.max(errorRateMin, errorRate),
            weight: percent / 100,
            errorRatio,
          });
          return [`x${errorRatio}`, Number.isFinite(minutes) ? Number(minutes.toPrecision(2)) : null];
        }),
      ),
    }));
}

/** "errors x5 would be found in about 1.4 min, x2 in 28 min". */
export function tellForecast({ minutes }: DetectionForecast): string {
  const tell = (ratio: string) => {
    const found = minutes[ratio];
    return found === null || found === undefined
      ? 'not at all'
      : `in ${found < 0.1 ? 'seconds' : `about ${found} min`}`;
  };
  return `at this traffic errors x5 would be found ${tell('x5')}, x2 ${tell('x2')}`;
}
