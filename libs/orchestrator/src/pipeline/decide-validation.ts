import {
  environmentOf,
  faultOfProcess,
  inSeconds,
  isCatchingUp,
  isoInstant,
  listenedMilliseconds,
  reason,
  rolloutView,
  second,
  suspensionsOf,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
} from '@hotswap/domain';
import { completeStage, hold } from './stage-decision.js';

const lookAgainMilliseconds = 1000;

/** Validate: every live node must report the target active and healthy for a while without a break; else it is taken back. */
export function decideValidation(view: DeploymentView, stage: Stage): PipelineDecision | { fails: Reason } {
  const { cluster, policy } = environmentOf(view);
  const { module } = view.deployment;
  const since = stage.startedAt ?? view.now;
  const suspensions = suspensionsOf(view);
  const wait = (code: string, message: string, data: Record<string, unknown> = {}) =>
    hold(view, stage, 'Running', 'Running', reason(code, message, data), view.now + lookAgainMilliseconds);
  if (stage.status === 'Pending' || isCatchingUp(cluster.listening, view.now)) {
    return wait(
      'validating',
      `Every node of ${cluster.environment} must serve ${view.deployment.version} for ${policy.validateSeconds} s`,
    );
  }

  const deploy = view.stages.find(({ name, environment }) => name === 'Deploy' && environment === stage.environment);
  const fault = deploy?.to ? faultOfProcess(rolloutView(view, deploy)) : null;
  if (fault) return { fails: fault };
  const serving = cluster.live.filter(
    (node) => node.state(view.now, cluster.listening) === 'Ready' && node.confirms(module),
  );
  const servingSince = Math.max(since, ...serving.map((node) => node.observation(module)?.since ?? since));
  const served = listenedMilliseconds(servingSince, view.now, suspensions);
  const isComplete = serving.length > 0 && serving.length === cluster.live.length;
  const numbers = { serving: serving.length, live: cluster.live.length, servedMilliseconds: served };
  const sentence = `${serving.length} of ${cluster.live.length} live nodes of ${cluster.environment} have served ${view.deployment.version} for ${inSeconds(served)}`;
  if (isComplete && served >= policy.validateSeconds * second) {
    return completeStage(view, stage, reason('validated', sentence, numbers), { status: 'Succeeded' });
  }
  const limitSeconds = policy.progressDeadlineSeconds + (isComplete ? policy.validateSeconds : 0);
  if (listenedMilliseconds(since, view.now, suspensions) > limitSeconds * second) {
    return { fails: reason('validation-deadline', sentence, numbers) };
  }
  const leftMilliseconds = isComplete
    ? policy.validateSeconds * second - served
    : policy.progressDeadlineSeconds * second - listenedMilliseconds(since, view.now, suspensions);
  const untilAt = isoInstant(view.now + leftMilliseconds);
  return wait('validating', `${sentence}, of ${policy.validateSeconds} s`, { ...numbers, untilAt });
}
