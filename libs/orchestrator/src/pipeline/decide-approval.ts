import {
  isoInstant,
  reason,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
} from '@hotswap/domain';
import { advance, completeStage, hold } from './stage-decision.js';

const approvalHours = 24;
/** A verdict wakes the loop; what else may end the wait (the version is withdrawn) is seen by then. */
const lookAgainMilliseconds = 15_000;

/** Approval: waits for a person's word, at most a day. */
export function decideApproval(view: DeploymentView, stage: Stage): PipelineDecision | { fails: Reason } {
  const { approval, environment } = stage;
  if (!approval) {
    const expiresAt = view.now + approvalHours * 3_600_000;
    const because = reason(
      'awaiting-approval',
      `Waiting for an approval of ${environment}, until ${isoInstant(expiresAt)}`,
      { untilAt: isoInstant(expiresAt) },
    );
    return {
      ...advance(view, stage, because),
      status: 'AwaitingApproval',
      stages: [
        {
          stageId: stage.id,
          status: 'Waiting',
          approval: { requestedAt: view.now, expiresAt, verdict: null },
          reason: because,
        },
      ],
      recheckAt: view.now + lookAgainMilliseconds,
    };
  }
  const { verdict, expiresAt } = approval;
  if (verdict?.approved) {
    return completeStage(view, stage, reason('approved', `Approved by ${verdict.by}`, { by: verdict.by }), {
      status: 'Succeeded',
    });
  }
  if (verdict) {
    const words = verdict.reason ? `: ${verdict.reason}` : '';
    return { fails: reason('rejected', `${environment} was rejected by ${verdict.by}${words}`, { by: verdict.by }) };
  }
  if (view.now > expiresAt) {
    return { fails: reason('approval-expired', `Nobody approved ${environment} within ${approvalHours} h`) };
  }
  const because = reason(
    'awaiting-approval',
    `Waiting for an approval of ${environment}, until ${isoInstant(expiresAt)}`,
    { untilAt: isoInstant(expiresAt) },
  );
  return hold(
    view,
    stage,
    'Waiting',
    'AwaitingApproval',
    because,
    Math.min(expiresAt + 1, view.now + lookAgainMilliseconds),
  );
}
