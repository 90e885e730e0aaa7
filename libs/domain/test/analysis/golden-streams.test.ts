import { describe, expect, it } from '@jest/globals';
import { runCanary } from '../../../../bench/canary/canary-run.js';
import { noRegression, standardWorld } from '../../../../bench/canary/scenario.js';
import type { Regression, World } from '../../../../bench/canary/scenario.js';
import { resolveParameters } from '../../src/analysis/parameters.js';

interface Stream {
  world?: Partial<World>;
  regression?: Partial<Regression>;
  parameters?: object;
  seed?: number;
}

/** What the analysis did, and when to the second, on a seeded stream of 30 minutes. */
function actions({ world, regression, parameters = {}, seed = 1 }: Stream): string {
  const log: string[] = [];
  const scenario = {
    name: 'golden',
    world: { ...standardWorld, ...world },
    regression: { ...noRegression, ...regression },
    isHealthy: true,
  };
  runCanary(scenario, resolveParameters(parameters), [3, seed], 1800, (event, verdict) => {
    if (verdict && verdict.verdict !== 'none') {
      log.push(`${event.at} ${verdict.verdict} ${verdict.stage} ${verdict.because}`);
    }
  });
  return log.join(', ');
}

const five = { nodeCount: 5 };
const three = { nodeCount: 3, requestsPerSecond: 20 };
const one = { nodeCount: 1 };
const quiet = { nodeCount: 3, requestsPerSecond: 1 / 18 };

describe('golden streams: every action to the second', () => {
  it.each<[string, Stream, string]>([
    [
      'healthy, 20 nodes',
      {},
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 900 promote 3 proved',
    ],
    [
      'healthy, 5 nodes',
      { world: five },
      '60 promote 0 not judged, 350 promote 1 proved, 435 promote 2 proved, 900 promote 3 proved',
    ],
    [
      'healthy, 3 nodes',
      { world: three },
      '60 promote 0 not judged, 360 promote 1 not judged, 865 promote 2 proved, 958 promote 3 proved',
    ],
    ['healthy, 1 node', { world: one }, '300 promote 1 not judged, 849 promote 2 proved, 995 promote 3 proved'],
    [
      'healthy, no errors at all',
      { world: { ...five, errorRate: 0 } },
      '60 promote 0 not judged, 360 promote 1 not judged, 420 promote 2 proved, 900 promote 3 proved',
    ],
    [
      'healthy, no bake',
      { parameters: { bake: 0 } },
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 240 promote 3 proved',
    ],
    [
      'no history and no errors before: all fail at once',
      { world: { ...five, errorRate: 0 }, regression: { errorExcess: 1 } },
      '6 contain 0 errS, 20 rollback 0 errS',
    ],
    [
      'no errors before: 1 % fail',
      { world: { ...five, errorRate: 0 }, regression: { errorExcess: 0.01 } },
      '60 promote 0 not judged, 72 contain 1 errS, 109 rollback 1 errS',
    ],
    [
      'errors x5',
      { regression: { errorFactor: 5 } },
      '60 promote 0 not judged, 130 contain 1 errS, 157 rollback 1 errS',
    ],
    ['errors x50', { regression: { errorFactor: 50 } }, '9 contain 0 errS, 35 rollback 0 errS'],
    [
      'errors x50, 3 nodes',
      { world: three, regression: { errorFactor: 50 } },
      '60 promote 0 not judged, 67 contain 1 errS, 93 rollback 1 errS',
    ],
    ['errors x50, 1 node', { world: one, regression: { errorFactor: 50 } }, '35 contain 1 errS, 69 rollback 1 errS'],
    [
      'latency +20 %',
      { regression: { latencyFactor: 1.2 } },
      '60 promote 0 not judged, 121 contain 1 p99, 216 rollback 1 p90',
    ],
    [
      'latency +100 %, 1 node',
      { world: one, regression: { latencyFactor: 2 } },
      '46 contain 1 p90, 102 rollback 1 p90',
    ],
    [
      'p99 only',
      { regression: { tailShare: 0.05, tailFactor: 10 } },
      '60 promote 0 not judged, 73 contain 1 p99, 103 rollback 1 p99',
    ],
    [
      'CPU +30 %',
      { regression: { cpuFactor: 1.3 } },
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 255 contain 3 cpu, 495 rollback 3 cpu',
    ],
    [
      'leak 2 % a minute',
      { regression: { leakPerMinute: 0.02 } },
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 705 rollback 3 grow',
    ],
    [
      'global incident',
      { world: { incident: 'global' } },
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 900 promote 3 proved',
    ],
    [
      'total outage',
      { world: { incident: 'outage' } },
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 900 promote 3 proved',
    ],
    [
      'noisy processes: contained, not rolled back',
      { world: { disturbancesPerHour: 1, disturbanceSeconds: 60 }, seed: 3 },
      '60 promote 0 not judged, 120 promote 1 proved, 180 promote 2 proved, 387 contain 3 p99, 1297 promote 3 proved',
    ],
    ['10 requests a minute, healthy', { world: quiet }, '900 promote 3 not judged'],
    [
      '10 requests a minute, all fail',
      { world: quiet, regression: { errorExcess: 1 } },
      '60 contain 3 abs, 134 rollback 3 abs',
    ],
    [
      'without a twin, healthy',
      { parameters: { twin: false } },
      '60 promote 0 not judged, 160 promote 1 proved, 220 promote 2 proved, 900 promote 3 proved',
    ],
    [
      'without a twin, errors x5',
      { parameters: { twin: false }, regression: { errorFactor: 5 } },
      '60 promote 0 not judged, 128 contain 1 err, 198 rollback 1 err',
    ],
    [
      'without a twin, latency +20 %',
      { parameters: { twin: false }, regression: { latencyFactor: 1.2 } },
      '60 promote 0 not judged, 157 contain 1 p90, 221 rollback 1 p99',
    ],
  ])('%s', (_, stream, expected) => {
    expect(actions(stream)).toBe(expected);
  });
});
