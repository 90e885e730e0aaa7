import {
  environmentOf,
  onStable,
  reason,
  withWait,
  waitOf,
  type DeploymentView,
  type PipelineDecision,
  type Stage,
} from '@hotswap/domain';

/**
 * Nodes that join a rollout which stands still serve all the same: they get stable, which changes nothing of the rollout. `held`: the answer
 * where there are none.
 */
export function admitNodes(view: DeploymentView, stage: Stage, held: PipelineDecision): PipelineDecision {
  const { cluster } = environmentOf(view);
  const joined = cluster.live.filter((node) => !node.assignment(view.deployment.module)).map(({ id }) => id);
  if (!stage.from || joined.length === 0) return held;
  const because = reason(
    'nodes-joined',
    `${joined.length} new nodes take ${stage.from.version}. ${held.because.message}`,
    {
      nodes: joined,
    },
  );
  const plan = onStable(stage.from);
  return {
    ...held,
    kind: 'advance',
    because: withWait(because, waitOf(held.because)),
    assign: joined.map((nodeId) => ({ nodeId, plan })),
    recheckAt: view.now,
  };
}
