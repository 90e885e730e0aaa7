import {
  environmentOf,
  isoInstant,
  reason,
  type Approval,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  thawedAfter,
  type Stage,
} from '@hotswap/domain';
import { advance, completeStage, hold } from './stage-decision.js';

const approvalHours = 24;
/** A verdict wakes the loop; what else may end the wait (the version is withdrawn) is seen by then. */
const lookAgainMilliseconds = 15_000;

/** Approval: waits for as many people's word as the environment's policy asks for, at most a day; frozen times, as they were known when it was asked for, are none of it. */
export function decideApproval(view: DeploymentView, stage: Stage): PipelineDecision | { fails: Reason } {
  const { approval, environment } = stage;
  if (!approval) {
    const { policy } = environmentOf(view);
    const freezes = view.deployment.breakGlass ? [] : (policy.freeze ?? []);
    const expiresAt = thawedAfter(freezes, view.now, approvalHours * 3_600_000);
    const required = policy.approval?.required ?? 1;
    const asked: Approval = { requestedAt: view.now, expiresAt, required, approvals: [], verdict: null };
    const because = awaiting(stage, asked);
    return {
      ...advance(view, stage, because),
      status: 'AwaitingApproval',
      stages: [{ stageId: stage.id, status: 'Waiting', approval: asked, reason: because }],
      recheckAt: view.now + lookAgainMilliseconds,
    };
  }
  const { verdict, expiresAt, required, approvals } = approval;
  if (verdict?.approved) {
    const by = approvals.length > 1 ? approvals.map((each) => each.by).join(', ') : verdict.by;
    return completeStage(view, stage, reason('approved', `Approved by ${by}`, { by, required }), {
      status: 'Succeeded',
    });
  }
  if (verdict) {
    const words = verdict.reason ? `: ${verdict.reason}` : '';
    return { fails: reason('rejected', `${environment} was rejected by ${verdict.by}${words}`, { by: verdict.by }) };
  }
  if (view.now > expiresAt) {
    const who = approvals.length > 0 ? `Only ${approvals.length} of ${required} people` : 'Nobody';
    return { fails: reason('approval-expired', `${who} approved ${environment} within ${approvalHours} h`) };
  }
  const recheckAt = Math.min(expiresAt + 1, view.now + lookAgainMilliseconds);
  return hold(view, stage, 'Waiting', 'AwaitingApproval', awaiting(stage, approval), recheckAt);
}

function awaiting({ environment }: Stage, { expiresAt, required, approvals }: Approval): Reason {
  const untilAt = isoInstant(expiresAt);
  const what =
    required > 1
      ? `${required} approvals of ${environment} (${approvals.length} so far)`
      : `an approval of ${environment}`;
  return reason('awaiting-approval', `Waiting for ${what}, until ${untilAt}`, {
    untilAt,
    required,
    approvedBy: approvals.map(({ by }) => by),
  });
}
