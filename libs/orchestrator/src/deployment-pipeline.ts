import { Injectable } from '@nestjs/common';
import {
  currentStage,
  planRollBack,
  reason,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
  type StageChange,
} from '@hotswap/domain';
import { decideValidation } from './pipeline/decide-validation.js';
import { decideVerification } from './pipeline/decide-verification.js';
import { advanceRollBack } from './pipeline/advance-roll-back.js';
import {
  advance,
  completeStage,
  environmentOf,
  hold,
  isTouched,
  isUnfinished,
  rolloutView,
} from './pipeline/stage-decision.js';
import { StrategyRegistry } from './strategies/strategy-registry.js';

/**
 * A deployment's ordered stages, decided one look at a time. Pure: the same view gives the same decision; whoever commits it checks that the
 * view still holds. What people ask for (cancel, roll back) comes before what the stage would do next.
 */
@Injectable()
export class DeploymentPipeline {
  constructor(private readonly strategies: StrategyRegistry) {}

  decide(view: DeploymentView): PipelineDecision {
    const stage = currentStage(view.stages);
    if (!stage) return this.finish(view);
    if (stage.status === 'RollingBack') return advanceRollBack(view, stage);
    const asked = this.askedFor(view);
    if (asked) return this.takeBack(view, stage, asked);
    switch (stage.name) {
      case 'Verify':
        return this.failing(view, stage, decideVerification(view, stage));
      case 'Approval':
        return hold(
          view,
          stage,
          'Waiting',
          'AwaitingApproval',
          reason('awaiting-approval', 'Waiting for an approval'),
          null,
        );
      case 'Deploy':
        return stage.status === 'Pending' ? this.startRollout(view, stage) : this.continueRollout(view, stage);
      case 'Validate':
        return this.failing(view, stage, decideValidation(view, stage));
    }
  }

  private startRollout(view: DeploymentView, stage: Stage): PipelineDecision {
    const { record, target, policy, cluster } = environmentOf(view);
    const isRunning =
      record.release?.digest === target.digest &&
      cluster.live.length > 0 &&
      cluster.live.every(
        (node) => node.confirms(record.module) && node.observation(record.module)?.active === target.digest,
      );
    if (isRunning) {
      const because = reason(
        'already-running',
        `Every live node of ${cluster.environment} runs ${target.version} already`,
      );
      return completeStage(view, stage, because, {
        status: 'Skipped',
        strategy: policy.strategy,
        from: record.release,
        to: target,
      });
    }
    const because = reason(
      'stage-started',
      `${cluster.environment}: ${policy.strategy} from ${record.release?.version ?? 'nothing'} to ${target.version}`,
    );
    return {
      ...advance(view, stage, because),
      stages: [
        {
          stageId: stage.id,
          status: 'Running',
          strategy: policy.strategy,
          from: record.release,
          to: target,
          reason: because,
        },
      ],
      slot: { ownerStageId: stage.id, release: record.release, previous: record.previous },
    };
  }

  private continueRollout(view: DeploymentView, stage: Stage): PipelineDecision {
    const { record, target } = environmentOf(view);
    const decision = this.strategies
      .get(stage.strategy ?? environmentOf(view).policy.strategy)
      .decide(rolloutView(view, stage));
    switch (decision.kind) {
      case 'hold':
        return hold(view, stage, 'Running', 'Running', decision.because, decision.recheckAt);
      case 'advance':
        return {
          ...advance(view, stage, decision.because),
          stages: [{ stageId: stage.id, progress: decision.progress, reason: decision.because }],
          assign: decision.assign,
        };
      case 'complete': {
        const previous = stage.from?.digest === target.digest ? record.previous : stage.from;
        return {
          ...completeStage(view, stage, decision.because, { status: 'Succeeded' }),
          slot: { ownerStageId: null, release: target, previous },
        };
      }
      case 'roll-back':
        return this.takeBack(view, stage, { because: decision.because, scope: 'environment' });
    }
  }

  /** A failed Verify or Validate stage takes back what is there to take back. */
  private failing(
    view: DeploymentView,
    stage: Stage,
    decision: PipelineDecision | { fails: Reason },
  ): PipelineDecision {
    return 'fails' in decision
      ? this.takeBack(view, stage, { because: decision.fails, scope: 'environment' })
      : decision;
  }

  private askedFor({ deployment }: DeploymentView): { because: Reason; scope: 'environment' | 'all' } | null {
    const { request } = deployment;
    if (!request) return null;
    const said = request.reason ? `: ${request.reason}` : '';
    return request.kind === 'cancel'
      ? { because: reason('cancelled', `Cancelled by request${said}`), scope: 'environment' }
      : {
          because: reason('rollback-requested', `Rollback requested (scope ${request.scope})${said}`),
          scope: request.scope,
        };
  }

  /** Takes back the environment in hand (or all) where nodes were touched; the nodes in hand go back with this very commit. */
  private takeBack(
    view: DeploymentView,
    stage: Stage,
    { because, scope }: { because: Reason; scope: 'environment' | 'all' },
  ): PipelineDecision {
    const inHand = stage.environment;
    const touched = view.stages.filter(
      (each) => each.name === 'Deploy' && isTouched(each) && (scope === 'all' || each.environment === inHand),
    );
    const untouched = view.stages.filter((each) => isUnfinished(each) && !touched.includes(each));
    const stages: StageChange[] = [
      ...touched.map(({ id }) => ({ stageId: id, status: 'RollingBack' as const, reason: because })),
      ...untouched.map(({ id }) => ({
        stageId: id,
        status: id === stage.id && !view.deployment.request ? ('Failed' as const) : ('Skipped' as const),
        reason: because,
      })),
    ];
    const deploy = touched.find(({ environment }) => environment === inHand);
    const isOwner = deploy !== undefined && environmentOf(view).record.ownerStageId === deploy.id;
    return {
      kind: touched.length > 0 ? 'roll-back' : 'advance',
      because,
      stageId: deploy?.id ?? stage.id,
      status: touched.length > 0 ? 'RollingBack' : 'Running',
      rollbackReason: view.deployment.rollbackReason ?? because,
      stages,
      slot:
        !deploy && view.environment?.record.ownerStageId === stage.id
          ? { ...view.environment.record, ownerStageId: null }
          : null,
      assign: deploy && isOwner ? planRollBack(rolloutView(view, deploy)) : [],
      evidence: [],
      recheckAt: view.now,
    };
  }

  private finish({ deployment, stages }: DeploymentView): PipelineDecision {
    const wasTakenBack = stages.some(({ status }) => status === 'RolledBack');
    const status = !deployment.rollbackReason
      ? 'Succeeded'
      : deployment.request?.kind === 'cancel'
        ? 'Cancelled'
        : wasTakenBack
          ? 'RolledBack'
          : 'Failed';
    const because =
      deployment.rollbackReason ??
      reason('succeeded', `${deployment.module} ${deployment.version} runs in ${deployment.targetEnvironment}`);
    return {
      kind: 'finish',
      because,
      stageId: null,
      status,
      rollbackReason: deployment.rollbackReason,
      stages: [],
      slot: null,
      assign: [],
      evidence: [],
      recheckAt: null,
    };
  }
}
