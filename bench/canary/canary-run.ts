import { analyse, beginAnalysis, experimentStages } from '@hotswap/domain';
import type { AnalysisEvent, AnalysisParameters, AnalysisState, AnalysisVerdict } from '@hotswap/domain';
import type { Scenario } from './scenario.js';
import { SimulatedCluster } from './simulated-cluster.js';

/** Between a containment and the new processes' first request. */
const restartSeconds = 10;

export interface CanaryRun {
  containedAt: number | null;
  rolledBackAt: number | null;
  promotedAt: number | null;
  isVoid: boolean;
  /** Failed requests of the candidate until contained, and in all. */
  failedUntilContained: number;
  failed: number;
}

/** Deploys a scenario's candidate for `seconds`, doing what the analysis says; `onEvent` sees the whole stream. */
export function runCanary(
  scenario: Scenario,
  parameters: AnalysisParameters,
  seeds: readonly number[],
  seconds: number,
  onEvent: (event: AnalysisEvent, verdict: AnalysisVerdict | null) => void = () => undefined,
): CanaryRun {
  const cluster = new SimulatedCluster(scenario, seeds);
  const { nodeCount, requestsPerSecond } = scenario.world;
  const ahead = experimentStages(parameters, cluster.nodeIds, nodeCount * requestsPerSecond);
  const run: CanaryRun = {
    containedAt: null,
    rolledBackAt: null,
    promotedAt: null,
    isVoid: false,
    failedUntilContained: 0,
    failed: 0,
  };
  let state: AnalysisState = beginAnalysis(parameters);
  const tell = (event: AnalysisEvent): AnalysisVerdict | null => {
    const answer = analyse(parameters, state, event);
    state = answer.state;
    onEvent(event, answer.verdict);
    return answer.verdict;
  };
  const enter = () => {
    const next = ahead.shift();
    if (next) tell({ kind: 'stage', at: cluster.at, ...next });
  };
  enter();
  let offUntil = 0;
  while (cluster.at < seconds) {
    cluster.advance();
    const { nodes, weight } = state.stage ?? { nodes: [], weight: 0 };
    const isOff = cluster.at <= offUntil;
    const block = cluster.block(nodes, isOff ? 0 : weight, parameters.twin);
    for (const node of block.nodes) run.failed += node.arms.C?.errors ?? 0;
    const verdict = tell(block);
    if (cluster.at === offUntil) {
      cluster.restart(['C', 'T']);
      tell({ kind: 'restart', at: cluster.at, arms: ['C', 'T'] });
    }
    switch (verdict?.verdict) {
      case 'contain':
        run.containedAt = cluster.at;
        run.failedUntilContained = run.failed;
        offUntil = cluster.at + restartSeconds;
        break;
      case 'rollback':
        run.rolledBackAt = cluster.at;
        if (run.containedAt === null) run.failedUntilContained = run.failed;
        return run;
      case 'void':
        run.isVoid = true;
        return run;
      case 'promote':
        if (verdict.isLast) {
          run.promotedAt = cluster.at;
          return run;
        }
        enter();
        break;
      case 'none':
      case undefined:
    }
  }
  return run;
}
