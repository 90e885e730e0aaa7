/** What the arms have in common. */
export interface World {
  nodeCount: number;
  /** Per node. */
  requestsPerSecond: number;
  errorRate: number;
  /** Standard deviation of a process's lasting luck in latency, CPU and memory (logarithm). */
  luck: number;
  hasHeavyTailedLuck: boolean;
  /** Standard deviation of the nodes' lasting differences in errors and latency (logarithm). */
  nodeDifferences: number;
  incident: 'none' | 'global' | 'zone' | 'outage';
  hasNoisyNeighbours: boolean;
  hasClusteredErrors: boolean;
  /** Disturbances of single processes (latency x3, CPU x1.5) per process and hour, and how long one lasts. */
  disturbancesPerHour: number;
  disturbanceSeconds: number;
}

/** How the candidate differs. */
export interface Regression {
  errorFactor: number;
  /** Added to the error rate. */
  errorExcess: number;
  latencyFactor: number;
  /** Share of requests slowed by `tailFactor`. */
  tailShare: number;
  tailFactor: number;
  cpuFactor: number;
  memoryFactor: number;
  /** Growth of memory per minute. */
  leakPerMinute: number;
  /** Error factor in 20 s of each 120 s. */
  flappingFactor: number;
}

export interface Scenario {
  name: string;
  world: World;
  regression: Regression;
  isHealthy: boolean;
}

export const standardWorld: World = {
  nodeCount: 20,
  requestsPerSecond: 50,
  errorRate: 0.001,
  luck: 0.01,
  hasHeavyTailedLuck: false,
  nodeDifferences: 0.2,
  incident: 'none',
  hasNoisyNeighbours: false,
  hasClusteredErrors: false,
  disturbancesPerHour: 0,
  disturbanceSeconds: 20,
};

export const noRegression: Regression = {
  errorFactor: 1,
  errorExcess: 0,
  latencyFactor: 1,
  tailShare: 0,
  tailFactor: 1,
  cpuFactor: 1,
  memoryFactor: 1,
  leakPerMinute: 0,
  flappingFactor: 1,
};

const healthy = (name: string, world: Partial<World> = {}): Scenario => ({
  name,
  world: { ...standardWorld, ...world },
  regression: noRegression,
  isHealthy: true,
});

const worse = (name: string, regression: Partial<Regression>, world: Partial<World> = {}): Scenario => ({
  name,
  world: { ...standardWorld, ...world },
  regression: { ...noRegression, ...regression },
  isHealthy: false,
});

const busy = { requestsPerSecond: 500, errorRate: 0.01 };
const few = { nodeCount: 3, requestsPerSecond: 20 };
const one = { nodeCount: 1 };
const quiet = { nodeCount: 3, requestsPerSecond: 1 / 18 };

export const scenarios: readonly Scenario[] = [
  healthy('standard'),
  healthy('busy: 500 rps at 1 %', busy),
  healthy('errors .01 %', { errorRate: 0.0001 }),
  healthy('3 nodes', few),
  healthy('1 node', one),
  healthy('noisy neighbours', { hasNoisyNeighbours: true }),
  healthy('global incident', { incident: 'global' }),
  healthy('zone incident', { incident: 'zone' }),
  healthy('total outage', { incident: 'outage' }),
  healthy('10 requests/min', quiet),
  healthy('process luck 3 %', { luck: 0.03 }),
  healthy('1 node, luck 5 % t3', { ...one, luck: 0.05, hasHeavyTailedLuck: true }),
  healthy('strong node differences', { nodeDifferences: 0.6 }),
  healthy('clustered errors', { hasClusteredErrors: true }),
  { ...worse('tiny x1.1, latency +3 %', { errorFactor: 1.1, latencyFactor: 1.03 }, busy), isHealthy: true },
  healthy('disturbances, 20 nodes', { disturbancesPerHour: 0.5 }),
  healthy('disturbances, 3 nodes', { ...few, disturbancesPerHour: 0.5 }),
  healthy('disturbances, 1 node', { ...one, disturbancesPerHour: 0.5 }),
  healthy('disturbances of 60 s, 20 nodes', { disturbancesPerHour: 0.5, disturbanceSeconds: 60 }),
  worse('errors x50', { errorFactor: 50 }),
  worse('errors x5', { errorFactor: 5 }),
  worse('errors x2', { errorFactor: 2 }),
  worse('errors x2, busy', { errorFactor: 2 }, busy),
  worse('errors x5 at .01 %', { errorFactor: 5 }, { errorRate: 0.0001 }),
  worse('errors +0.5 points', { errorExcess: 0.005 }),
  worse('latency +20 %', { latencyFactor: 1.2 }),
  worse('latency +100 %', { latencyFactor: 2 }),
  worse('p99 only, 5 % x10', { tailShare: 0.05, tailFactor: 10 }),
  worse('CPU +30 %', { cpuFactor: 1.3 }),
  worse('memory +30 %', { memoryFactor: 1.3 }),
  worse('leak 2 %/min', { leakPerMinute: 0.02 }),
  worse('leak .5 %/min', { leakPerMinute: 0.005 }),
  worse('flapping x10, 20 of 120 s', { flappingFactor: 10 }),
  worse('errors x5, global incident', { errorFactor: 5 }, { incident: 'global' }),
  worse('errors x5, clustered', { errorFactor: 5 }, { hasClusteredErrors: true }),
  worse('10 requests/min, all fail', { errorExcess: 1 }, quiet),
  worse('10 requests/min, 30 % fail', { errorExcess: 0.3 }, quiet),
  worse('3 nodes, errors x5', { errorFactor: 5 }, few),
  worse('1 node, errors x5', { errorFactor: 5 }, one),
  worse('1 node, latency +20 %', { latencyFactor: 1.2 }, one),
  worse('1 node, latency +100 %', { latencyFactor: 2 }, one),
];
