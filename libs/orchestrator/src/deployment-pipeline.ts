import { Injectable } from '@nestjs/common';
import {
  awaitWayBack,
  currentStage,
  environmentOf,
  finalStatuses,
  reason,
  rolloutView,
  second,
  standingStill,
  waitOf,
  withWait,
  withWayBack,
  type Decision,
  type Deployment,
  type DeploymentStatus,
  type DeploymentView,
  type EnvironmentRelease,
  type KernelNode,
  type PipelineDecision,
  type Reason,
  type RolloutView,
  type Stage,
} from '@hotswap/domain';
import { decideApproval } from './pipeline/decide-approval.js';
import { askUnderFreeze, findFreezeOf, tellBrokenFreeze } from './pipeline/decide-freeze.js';
import { decideValidation } from './pipeline/decide-validation.js';
import { decideVerification } from './pipeline/decide-verification.js';
import { askOutside } from './pipeline/ask-outside.js';
import { advanceRollBack } from './pipeline/advance-roll-back.js';
import { admitNodes } from './pipeline/admit-nodes.js';
import { awaitSuperseded } from './pipeline/await-superseded.js';
import { advance, completeStage, hold, isTouched } from './pipeline/stage-decision.js';
import { askedFor, takeBack } from './pipeline/take-back.js';
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
    const { pausedAt, supersedes } = view.deployment;
    // Before what people ask: whoever takes the place of this one waits for it, and so for the one before it.
    if (supersedes && !finalStatuses.includes(supersedes.status)) return awaitSuperseded(view, stage, supersedes);
    const asked = askedFor(view);
    if (asked) return takeBack(view, stage, asked);
    if (pausedAt !== null && stage.status === 'Pending') return this.pause(view, stage);
    switch (stage.name) {
      case 'Verify':
        return this.failing(view, stage, decideVerification(view, stage));
      case 'Approval':
        return this.failing(view, stage, decideApproval(view, stage));
      case 'Deploy':
        return stage.status === 'Pending' ? this.startRollout(view, stage) : this.continueRollout(view, stage);
      case 'Validate': {
        const decision = decideValidation(view, stage);
        // As in a rollout: it stands still, but what speaks against the target is acted on.
        return pausedAt === null || 'fails' in decision ? this.failing(view, stage, decision) : this.pause(view, stage);
      }
    }
  }

  private pause(view: DeploymentView, stage: Stage): PipelineDecision {
    const { pausedAt, reason: before } = view.deployment;
    const because = reason('paused', 'Paused by request; resume it to go on', { pausedAt });
    return hold(
      view,
      stage,
      stage.status,
      'Paused',
      withWait(because, standingStill(waitOf(before))),
      view.now + second,
    );
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
    const frozen = findFreezeOf(view);
    if (frozen) return hold(view, stage, 'Pending', 'Running', frozen.because, frozen.until);
    // Beside a stable release that runs nowhere there is nothing to compare with and nothing to lose: its fix goes to all nodes at once.
    const isStableBroken = cluster.live.length > 0 && cluster.live.every((node) => isBroken(node, record));
    const strategy = isStableBroken ? 'Direct' : policy.strategy;
    const from = `${record.release?.version ?? 'nothing'}${isStableBroken ? ", which can't run on any node," : ''}`;
    const { words, data } = tellBrokenFreeze(view);
    const because = reason(
      'stage-started',
      `${cluster.environment}: ${strategy} from ${from} to ${target.version}${words}`,
      data,
    );
    return {
      ...advance(view, stage, because),
      stages: [
        {
          stageId: stage.id,
          status: 'Running',
          strategy,
          from: record.release,
          to: target,
          reason: because,
        },
      ],
      slot: { ownerStageId: stage.id, release: record.release, previous: record.previous },
    };
  }

  private continueRollout(view: DeploymentView, stage: Stage): PipelineDecision {
    const { policy } = environmentOf(view);
    const { bad, heldBack, evidence } = askOutside(view, stage);
    const rollout = { ...rolloutView(view, stage), heldBack };
    const strategy = this.strategies.get(stage.strategy ?? policy.strategy);
    const frozen = findFreezeOf(view);
    if (frozen?.runningRollouts === 'roll-back' && isTouched(stage))
      return takeBack(view, stage, { because: frozen.because, scope: 'environment' });
    const decide = (asked: RolloutView) => awaitWayBack(asked) ?? strategy.decide(asked);
    const { found, heldBy } = frozen
      ? askUnderFreeze(decide, rollout, frozen)
      : { found: decide(rollout), heldBy: null };
    const decision: Decision = bad && found.kind !== 'roll-back' ? { kind: 'roll-back', because: bad } : found;
    return { ...this.follow(view, stage, decision, heldBy), analysis: found.analysis, evidence };
  }

  private follow(view: DeploymentView, stage: Stage, decision: Decision, heldBy: Reason | null): PipelineDecision {
    const { record, target } = environmentOf(view);
    // A rollout that is paused or frozen stands still, but what speaks against the target is acted on.
    const speaksAgainst =
      decision.kind === 'roll-back' || (decision.kind === 'advance' && decision.progress.containedAt === view.now);
    if (view.deployment.pausedAt !== null && !speaksAgainst) return admitNodes(view, stage, this.pause(view, stage));
    if (heldBy && !speaksAgainst)
      return admitNodes(view, stage, hold(view, stage, 'Running', 'Running', heldBy, view.now + second));
    switch (decision.kind) {
      case 'hold':
        return hold(view, stage, 'Running', 'Running', decision.because, decision.recheckAt);
      case 'advance': {
        const isFirst = stage.progress === null;
        const because = isFirst ? withWayBack(rolloutView(view, stage), decision.because) : decision.because;
        const isNext = decision.progress.number !== stage.progress?.number;
        const isPromoted = view.deployment.promotion !== null && isNext && !isFirst;
        const progress = isPromoted ? { ...decision.progress, promotedAt: view.now } : decision.progress;
        return {
          ...advance(view, stage, because),
          stages: [{ stageId: stage.id, progress, reason: because }],
          assign: decision.assign,
          usesPromotion: view.deployment.promotion === 'step' && isNext,
        };
      }
      case 'complete': {
        const previous = stage.from?.digest === target.digest ? record.previous : stage.from;
        const promoted =
          view.deployment.promotion !== null && stage.progress
            ? { progress: { ...stage.progress, promotedAt: view.now } }
            : {};
        return {
          ...completeStage(view, stage, decision.because, { status: 'Succeeded', ...promoted }),
          usesPromotion: true,
          slot: { ownerStageId: null, release: target, previous },
        };
      }
      case 'roll-back':
        return takeBack(view, stage, { because: decision.because, scope: 'environment' });
    }
  }

  /** A failed Verify or Validate stage takes back what is there to take back. */
  private failing(
    view: DeploymentView,
    stage: Stage,
    decision: PipelineDecision | { fails: Reason },
  ): PipelineDecision {
    return 'fails' in decision ? takeBack(view, stage, { because: decision.fails, scope: 'environment' }) : decision;
  }

  private endingOf({ request }: Deployment, wasTakenBack: boolean): DeploymentStatus {
    if (request?.kind === 'cancel') return 'Cancelled';
    if (request?.kind === 'supersede') return 'Superseded';
    return wasTakenBack ? 'RolledBack' : 'Failed';
  }

  private finish({ deployment, stages }: DeploymentView): PipelineDecision {
    const wasTakenBack = stages.some(({ status }) => status === 'RolledBack');
    const status = deployment.rollbackReason ? this.endingOf(deployment, wasTakenBack) : 'Succeeded';
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
      usesPromotion: true,
      recheckAt: null,
    };
  }
}

/** Also for want of memory, or of its artifact: whatever keeps stable from running must not keep its fix out. */
function isBroken(node: KernelNode, { module, release }: EnvironmentRelease): boolean {
  return release !== null && node.failureOf(module, release) !== null;
}
