import {
  isoInstant,
  reason,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
} from '@hotswap/domain';
import { advance, completeStage, hold } from './stage-decision.js';

const signatureDeadlineSeconds = 30;

/** Verify: the artifact's bytes and signatures must be trusted for every environment on the way. The check is I/O, so it is gathered as evidence. */
export function decideVerification(view: DeploymentView, stage: Stage): PipelineDecision | { fails: Reason } {
  const subject = view.deployment.artifact;
  const found = view.evidence.find((evidence) => evidence.stageId === stage.id && evidence.subject === subject);
  if (!found) {
    const because = reason('verifying', `Checking the signatures of ${subject}`);
    return {
      ...advance(view, stage, because),
      kind: 'gather',
      stages: [{ stageId: stage.id, status: 'Running', reason: because }],
      evidence: [{ stageId: stage.id, kind: 'signature', subject, deadlineSeconds: signatureDeadlineSeconds }],
      recheckAt: view.now + signatureDeadlineSeconds * 1000,
    };
  }
  switch (found.status) {
    case 'Passed':
      return completeStage(view, stage, reason('verified', found.message ?? 'Signatures are trusted', found.data), {
        status: 'Succeeded',
      });
    case 'Refused':
    case 'Unknown':
      return { fails: reason('signature-refused', found.message ?? 'The signatures are not trusted', found.data) };
    case 'Requested':
      if (view.now > found.deadlineAt) {
        return {
          fails: reason('verification-deadline', `No answer on the signatures by ${isoInstant(found.deadlineAt)}`),
        };
      }
      return hold(
        view,
        stage,
        'Running',
        'Running',
        reason('verifying', `Checking the signatures of ${subject}`, { untilAt: isoInstant(found.deadlineAt) }),
        found.deadlineAt + 1,
      );
  }
}
