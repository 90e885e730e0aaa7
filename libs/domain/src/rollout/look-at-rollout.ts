import type { Stage } from '../deployment.js';
import type { DeploymentView, EnvironmentView } from '../deployment-view.js';
import { frozenTimes } from '../freeze/find-freeze.js';
import type { ListeningGap } from '../listening.js';
import type { RolloutView } from './rollout-view.js';
import { waitOf } from './wait.js';

/** What the strategy sees of a Deploy stage that has started; for the way back, `stable` is where it came from. */
export function rolloutView(view: DeploymentView, stage: Stage): RolloutView {
  const { cluster, policy, target, traffic, analysis } = environmentOf(view);
  return {
    module: view.deployment.module,
    policy,
    cluster,
    stable: stage.from,
    target: stage.to ?? target,
    startedAt: stage.startedAt ?? view.now,
    progress: stage.progress,
    traffic,
    analysis,
    suspensions: suspensionsOf(view),
    promotion: view.deployment.promotion,
    isPaused: view.deployment.pausedAt !== null,
    waiting: waitOf(view.deployment.reason),
  };
}

/** Pauses of the deployment, times without anyone listening, and freezes that hold rollouts. */
export function suspensionsOf({ deployment, environment, now }: DeploymentView): ListeningGap[] {
  const underWay = deployment.pausedAt === null ? [] : [{ from: deployment.pausedAt, to: now }];
  const freezes = (!deployment.breakGlass && environment?.policy.freeze) || [];
  const frozen = frozenTimes(freezes, deployment.createdAt, now, 'hold');
  return [...(environment?.cluster.listening.gaps ?? []), ...deployment.pauses, ...underWay, ...frozen];
}

export function environmentOf(view: DeploymentView): EnvironmentView {
  if (!view.environment)
    throw new Error(`Deployment ${view.deployment.id}: a stage with an environment was loaded without it`);
  return view.environment;
}
