import { analyse, beginAnalysis } from '@hotswap/domain';
import type { AnalysisParameters, AnalysisState } from '@hotswap/domain';
import { runCanary } from './canary-run.js';
import type { CanaryRun } from './canary-run.js';
import { median, upperBound } from './confidence.js';
import { judgeByNodes } from './node-judges.js';
import { noRegression, standardWorld } from './scenario.js';
import type { Scenario } from './scenario.js';
import { SimulatedCluster } from './simulated-cluster.js';

/** A share of runs with its exact one-sided 95 % upper limit. */
export interface Share {
  runs: number;
  share: number;
  upperBound: number;
}

export interface Row {
  name: string;
  isHealthy: boolean;
  trials: number;
  contained: Share;
  rolledBack: Share;
  voided: Share;
  containedMedianSeconds: number | null;
  rolledBackMedianSeconds: number | null;
  failedUntilContainedMedian: number | null;
  failedMedian: number | null;
  /** The customary judges, over `judgeTrials` runs. */
  judgeTrials: number;
  thresholds: Share;
  limits: Share;
  rankTest: Share;
}

/** Whole plan by its time limits, whatever is proved: what the evidence alone does. */
export function judgeScenario(
  scenario: Scenario,
  parameters: AnalysisParameters,
  options: { seed: number; trials: number; seconds: number },
): Row {
  const { seed, trials, seconds } = options;
  // A proof that can never be reached leaves the time limits, and the last stage lasts to the end.
  const plan = parameters.plan.map(
    ([nodes, weight, limitSeconds], stage) =>
      [nodes, weight, stage === parameters.plan.length - 1 ? seconds + 1 : limitSeconds] as const,
  );
  const unproved = { ...parameters, plan, beta: 1e-9, bake: 0 };
  const runs = repeat(trials, (i) => runCanary(scenario, unproved, [seed, i], seconds));
  const judgeTrials = Math.min(trials, 200);
  const judged = repeat(judgeTrials, (i) => judgeByNodes(scenario, [seed, i], seconds));
  return {
    name: scenario.name,
    isHealthy: scenario.isHealthy,
    trials,
    contained: shareOf(runs, (run) => run.containedAt !== null),
    rolledBack: shareOf(runs, (run) => run.rolledBackAt !== null),
    voided: shareOf(runs, (run) => run.isVoid),
    containedMedianSeconds: medianOf(runs, (run) => run.containedAt ?? run.rolledBackAt),
    rolledBackMedianSeconds: medianOf(runs, (run) => run.rolledBackAt),
    failedUntilContainedMedian: medianOf(runs, (run) =>
      run.containedAt === null && run.rolledBackAt === null ? null : run.failedUntilContained,
    ),
    failedMedian: medianOf(runs, (run) => run.failed),
    judgeTrials,
    thresholds: shareOf(judged, (run) => run.thresholds !== null),
    limits: shareOf(judged, (run) => run.limits !== null),
    rankTest: shareOf(judged, (run) => run.rankTest !== null),
  };
}

export interface ClosedLoopRow {
  name: string;
  isHealthy: boolean;
  trials: number;
  promoted: Share;
  promotedMedianSeconds: number | null;
  rolledBack: Share;
  rolledBackMedianSeconds: number | null;
  undecided: Share;
  failedMedian: number | null;
}

/** As deployed: every stage ends as soon as it is proved. */
export function deployScenario(
  scenario: Scenario,
  parameters: AnalysisParameters,
  options: { seed: number; trials: number; seconds: number },
): ClosedLoopRow {
  const { seed, trials, seconds } = options;
  const runs = repeat(trials, (i) => runCanary(scenario, parameters, [seed, i], seconds));
  return {
    name: scenario.name,
    isHealthy: scenario.isHealthy,
    trials,
    promoted: shareOf(runs, (run) => run.promotedAt !== null),
    promotedMedianSeconds: medianOf(runs, (run) => run.promotedAt),
    rolledBack: shareOf(runs, (run) => run.rolledBackAt !== null),
    rolledBackMedianSeconds: medianOf(runs, (run) => run.rolledBackAt),
    undecided: shareOf(runs, (run) => run.promotedAt === null && run.rolledBackAt === null),
    failedMedian: medianOf(runs, (run) => run.failed),
  };
}

const costBlocks = 20;
const costWarmUps = 200;
const costBatches = 10;
const costBatchEvaluations = 200;

/**
 * Milliseconds of one evaluation with `nodeCount` nodes, every arm and every bucket filled. `cpu`: of all of the process's threads, collection of garbage
 * included, in the mean and in the dearest of ten batches of 200 (a machine's clock of it may tick by 4 ms, too seldom for a single one). `wall`: by the clock, so with
 * whatever else the machine does. The blocks are made beforehand: their making, and the collection of what it leaves, is no part of it.
 */
export function measureCost(parameters: AnalysisParameters, nodeCount: number) {
  const world = { ...standardWorld, nodeCount };
  const cluster = new SimulatedCluster({ name: 'cost', world, regression: noRegression, isHealthy: true }, [1]);
  const event = { kind: 'stage', at: 0, stage: 1, nodes: cluster.nodeIds, weight: 0.1 } as const;
  let state: AnalysisState = analyse(parameters, beginAnalysis(parameters), event).state;
  const blocks = repeat(costBlocks, () => {
    cluster.advance();
    return cluster.block(cluster.nodeIds, 0.1);
  });
  let second = 0;
  const evaluate = () => {
    const block = { ...(blocks[++second % costBlocks] as (typeof blocks)[number]), at: second };
    const began = performance.now();
    state = analyse(parameters, state, block).state;
    return performance.now() - began;
  };
  repeat(costWarmUps, evaluate);
  const batches = repeat(costBatches, () => {
    const before = process.cpuUsage();
    const wall = repeat(costBatchEvaluations, evaluate);
    return { wall, cpu: milliseconds(process.cpuUsage(before)) / costBatchEvaluations };
  });
  const wall = batches.flatMap((batch) => batch.wall).sort((a, b) => a - b);
  const cpu = batches.map((batch) => batch.cpu);
  return {
    nodeCount,
    cpuMilliseconds: cpu.reduce((sum, each) => sum + each, 0) / costBatches,
    cpuMillisecondsMax: Math.max(...cpu),
    wallMedianMilliseconds: wall[Math.floor(wall.length / 2)] ?? 0,
    wallP99Milliseconds: wall[Math.floor(wall.length * 0.99)] ?? 0,
    stateBytes: JSON.stringify(state).length,
  };
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}

function repeat<T>(count: number, run: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => run(index));
}

function shareOf<T>(runs: readonly T[], is: (run: T) => boolean): Share {
  const count = runs.filter(is).length;
  return { runs: count, share: count / runs.length, upperBound: upperBound(count, runs.length) };
}

function medianOf(runs: readonly CanaryRun[], of: (run: CanaryRun) => number | null): number | null {
  return median(runs.map(of).filter((value) => value !== null));
}
