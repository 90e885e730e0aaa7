import {
  isoInstant,
  listenedMilliseconds,
  personHours,
  reason,
  suspensionsOf,
  waitOf,
  withWait,
  type DeploymentView,
  type PipelineDecision,
  type Stage,
} from '@hotswap/domain';
import { hold } from './stage-decision.js';
import { takeBack } from './take-back.js';

const code = 'superseding';
const lookAgainMilliseconds = 500;

/** Waits, a day at most, until the deployment whose place this one takes has been taken back. */
export function awaitSuperseded(view: DeploymentView, stage: Stage, { id }: { id: string }): PipelineDecision {
  const waiting = waitOf(view.deployment.reason);
  const since = waiting?.code === code ? waiting.since : view.now;
  const limitMilliseconds = personHours * 3_600_000;
  const waited = listenedMilliseconds(since, view.now, suspensionsOf(view));
  if (waited > limitMilliseconds) {
    const message = `Deployment ${id} was not taken back within ${personHours} h`;
    const because = reason('superseding-deadline', message, { supersedes: id, waitedMilliseconds: waited });
    return takeBack(view, stage, { because, scope: 'environment' });
  }
  const untilAt = isoInstant(view.now + limitMilliseconds - waited);
  const because = reason(code, `Waiting until deployment ${id} has been taken back`, { supersedes: id, untilAt });
  const timed = withWait(because, { code, since });
  return hold(view, stage, stage.status, 'Pending', timed, view.now + lookAgainMilliseconds);
}
