import {
  decideRollBack,
  reason,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
} from '@hotswap/domain';
import { advance, environmentOf, hold, rolloutView } from './stage-decision.js';

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

  const decision = decideRollBack(rolloutView(view, stage));
  switch (decision.kind) {
    case 'advance':
      return { ...advance(view, stage, decision.because), assign: decision.assign };
    case 'complete':
      return complete(view, stage, decision.because);
    case 'hold':
    case 'roll-back':
      // The deployment that takes this one's place is the person's answer: it finds a release that can't run, and may mend it.
      if (decision.because.code === 'stable-broken' && view.deployment.request?.kind === 'supersede')
        return complete(view, stage, decision.because);
      return { ...hold(view, stage, 'RollingBack', 'RollingBack', decision.because, view.now + 300), stages: [] };
  }
}

function complete(view: DeploymentView, stage: Stage, because: Reason): PipelineDecision {
  return {
    ...advance(view, stage, because),
    kind: 'complete-stage',
    stages: [{ stageId: stage.id, status: 'RolledBack' }],
    slot: { ownerStageId: null, release: stage.from, previous: null },
  };
}
