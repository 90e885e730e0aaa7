import {
  countWarm,
  decideRollBack,
  environmentOf,
  reason,
  rolloutView,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
  type StageRollback,
} from '@hotswap/domain';
import { advance, hold } from './stage-decision.js';
import { countLive } from './take-back.js';

const lookAgainMilliseconds = 300;

/** A Deploy stage on its way back. It owns the environment's record first, unless the environment has moved on: then there is nothing to take back. */
export function advanceRollBack(view: DeploymentView, stage: Stage): PipelineDecision {
  const { record } = environmentOf(view);
  if (record.ownerStageId !== stage.id) {
    const isCurrent = record.ownerStageId === null && record.release?.digest === stage.to?.digest;
    if (!isCurrent) {
      const because = reason(
        'not-current',
        `${record.environment} has moved on to ${record.release?.version ?? 'another rollout'}: it is left alone`,
      );
      return {
        ...advance(view, stage, because),
        stages: [{ stageId: stage.id, status: 'Succeeded', reason: because }],
      };
    }
    const because = reason('rolling-back', `${record.environment} goes back to ${stage.from?.version ?? 'no release'}`);
    return { ...advance(view, stage, because), slot: { ...record, ownerStageId: stage.id } };
  }

  const rollout = rolloutView(view, stage);
  const decision = decideRollBack(rollout);
  switch (decision.kind) {
    case 'advance': {
      const { assign } = decision;
      const known = begunAt(view, stage);
      const rollback = {
        ...known,
        nodes: known.nodes + countLive(view, assign),
        warmNodes: known.warmNodes + countWarm(rollout, assign),
      };
      return { ...advance(view, stage, decision.because), assign, stages: [{ stageId: stage.id, rollback }] };
    }
    case 'complete':
      return complete(view, stage, decision.because);
    case 'hold':
    case 'roll-back':
      // The deployment that takes this one's place is the person's answer: it finds a release that can't run, and may mend it.
      if (decision.because.code === 'stable-broken' && view.deployment.request?.kind === 'supersede')
        return complete(view, stage, decision.because);
      return {
        ...hold(view, stage, 'RollingBack', 'RollingBack', decision.because, view.now + lookAgainMilliseconds),
        stages: [],
      };
  }
}

function begunAt({ deployment, now }: DeploymentView, { rollback }: Stage): StageRollback {
  return rollback ?? { decidedAt: deployment.request?.at ?? now, confirmedAt: null, nodes: 0, warmNodes: 0 };
}

/** The last node's confirmation is when its report was kept; where the module was taken off, nothing is left to say so, and it is now. */
function complete(view: DeploymentView, stage: Stage, because: Reason): PipelineDecision {
  const known = begunAt(view, stage);
  const { cluster, record } = environmentOf(view);
  const returns = cluster.live
    .map((node) => node.observation(record.module)?.since ?? view.now)
    .filter((since) => since >= known.decidedAt);
  // Where it was given up, or superseded, not all nodes are back.
  const isConfirmed = because.code === 'rolled-back';
  const confirmedAt = isConfirmed ? Math.max(known.decidedAt, ...returns) : null;
  return {
    ...advance(view, stage, because),
    kind: 'complete-stage',
    stages: [{ stageId: stage.id, status: 'RolledBack', rollback: { ...known, confirmedAt } }],
    slot: { ownerStageId: null, release: stage.from, previous: null },
  };
}
