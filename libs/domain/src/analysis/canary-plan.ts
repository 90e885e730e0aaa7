import type { StageEvent } from './events.js';
import type { AnalysisParameters } from './parameters.js';

/** What a stage is judged by. */
export interface StageRule {
  /** Index in the plan. */
  planStage: number;
  limitSeconds: number;
  /** After it comes 100 %. */
  isLast: boolean;
}

/**
 * The stages of one deployment: the plan with the weights raised for small modules, so that the candidate gets about two requests a
 * second (`max(weight, clip(2 / rps, .05, .5))`). One node needs no scout; a stage whose raised weight is the next one's is
 * left out. Stages keep their index in the plan. `requestsPerSecond` of the whole module; null: not known, nothing is raised.
 */
export function experimentStages(
  { plan }: AnalysisParameters,
  nodes: readonly string[],
  requestsPerSecond: number | null,
): Omit<StageEvent, 'kind' | 'at'>[] {
  const raised = requestsPerSecond === null ? 0 : Math.min(0.5, Math.max(0.05, 2 / requestsPerSecond));
  const stages = plan.map(([count, weight], stage) => ({
    stage,
    nodes: count === 'all' ? nodes : nodes.slice(0, count),
    weight: Math.max(weight, raised),
    isRaised: raised > weight,
  }));
  return stages
    .filter((stage, i) => {
      const next = stages[i + 1];
      if (next === undefined) return true;
      if (i === 0 && nodes.length === 1) return false;
      return stage.weight !== next.weight || (stage.nodes.length !== next.nodes.length && !stage.isRaised);
    })
    .map(({ stage, nodes: members, weight }) => ({ stage, nodes: members, weight }));
}

/**
 * The rule of a stage as it was driven: its own index's when it gives at least the plan's weight there (raised for a small module); else, where another plan is
 * driven, that of the first planned stage, on all nodes where it is, of at least its weight.
 */
export function stageRule(
  { plan }: AnalysisParameters,
  stage: Pick<StageEvent, 'stage' | 'weight' | 'nodes'>,
): StageRule {
  const own = plan[stage.stage]?.[1];
  const isOnMany = stage.nodes.length > 1;
  const byWeight = plan.findIndex(([count, weight]) => weight >= stage.weight && (count === 'all' || !isOnMany));
  const planStage = own !== undefined && own <= stage.weight ? stage.stage : byWeight < 0 ? plan.length - 1 : byWeight;
  return { planStage, limitSeconds: plan[planStage]?.[2] ?? 0, isLast: planStage === plan.length - 1 };
}
