import type { Stage } from '../deployment.js';
import type { DeploymentView } from '../deployment-view.js';
import type { KernelNode } from '../kernel-node.js';
import type { PipelineDecision } from '../pipeline-decision.js';
import { capacityOf } from '../strategies/rolling.js';
import type { Violation } from '../violation.js';
import type { PlannedNode } from './decision.js';
import { rolloutView } from './look-at-rollout.js';

/** What a rollout must not do to the nodes that serve, whichever strategy decides: it is held against every move from one release to another. */
export function findUnsafeMoves(view: DeploymentView, decision: PipelineDecision): Violation[] {
  const stage = view.stages.find(({ id }) => id === decision.stageId);
  if (!stage?.from || !stage.to || !view.environment || decision.assign.length === 0) return [];
  const nodes = new Map(view.environment.cluster.nodes.map((node) => [node.id, node]));
  const moves = decision.assign.flatMap((planned) => {
    const node = nodes.get(planned.nodeId);
    return node ? [{ node, ...planned }] : [];
  });
  const rollout: Rollout = { view, stage, module: view.deployment.module, from: stage.from, to: stage.to };
  return [
    ...moves
      .filter((move) => losesWayBack(rollout, move))
      .map(tell('the way back is kept until every node has confirmed')),
    ...moves
      .filter((move) => flipsUnconfirmed(rollout, decision, move))
      .map(tell('no node flips to a target that it has not confirmed beside stable')),
    ...moves
      .filter((move) => retreatsToBroken(rollout, move))
      .map(tell('no node retreats to a release that can’t run there')),
    ...overBudget(rollout, moves),
  ];
}

interface Rollout {
  view: DeploymentView;
  stage: Stage;
  module: string;
  from: NonNullable<Stage['from']>;
  to: NonNullable<Stage['to']>;
}

type PlannedMove = PlannedNode & { node: KernelNode };

function tell(rule: string): (move: PlannedMove) => Violation {
  return ({ nodeId }) => ({ rule, detail: nodeId });
}

function losesWayBack({ from }: Rollout, { plan }: PlannedMove): boolean {
  return ![plan.active, plan.candidate, ...plan.warm].some((release) => release?.digest === from.digest);
}

/** When a step begins, nodes that had the target beside stable in the step before have said that it is ready. */
function flipsUnconfirmed(
  { stage, module, from, to }: Rollout,
  { stages }: PipelineDecision,
  { node, plan }: PlannedMove,
): boolean {
  const entered = stages.find(({ stageId }) => stageId === stage.id)?.progress;
  if (!stage.progress || !entered || entered.number === stage.progress.number) return false;
  const before = node.assignment(module);
  const isFlip = before?.candidate?.digest === to.digest && plan.active?.digest === to.digest;
  return isFlip && !node.isBroken(module, from) && !(node.hasAccepted(module) && node.hasReady(module, to));
}

function retreatsToBroken({ module, from, to }: Rollout, { node, plan }: PlannedMove): boolean {
  const isRetreat = node.assignment(module)?.active?.digest === to.digest && plan.active?.digest === from.digest;
  return from.digest !== to.digest && isRetreat && node.isBroken(module, from);
}

/** Of the nodes that serve, a rolling update takes no more away than its policy says, unless a person lets it. */
function overBudget({ view, stage, module, from, to }: Rollout, moves: readonly PlannedMove[]): Violation[] {
  if (stage.strategy !== 'Rolling' || view.deployment.promotion === 'full') return [];
  // A node that has nothing yet serves nothing that it could lose.
  const taken = moves.filter(({ node, plan }) => {
    const before = node.assignment(module)?.active;
    return plan.active?.digest === to.digest && before && before.digest !== to.digest && !node.isBroken(module, from);
  });
  const { away, unavailable, surge } = capacityOf(rolloutView(view, stage));
  if (taken.length === 0 || away + taken.length <= unavailable + surge) return [];
  const detail = `${away} are away, ${taken.length} more would be, at most ${unavailable + surge} may`;
  return [{ rule: 'no more nodes are away than the policy allows', detail }];
}
