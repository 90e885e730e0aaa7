import { currentStage, type Approval, type Instant } from '@hotswap/domain';
import type { ApprovalVerdict, VerdictOutcome } from '@hotswap/orchestrator';
import type { DataSource } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { readClock } from '../database/read-consistently.js';
import { writeEvents } from '../rollouts/write-events.js';
import { notifyWake } from '../wake.js';
import { findApproval } from './list-approvals.js';
import { loadStages } from './load-stages.js';
import { lockDeployment } from './lock-deployment.js';

/** See the port. */
export function decideApproval(dataSource: DataSource, id: string, said: ApprovalVerdict): Promise<VerdictOutcome> {
  return inTransaction(dataSource, async (manager): Promise<VerdictOutcome> => {
    const deployment = await lockDeployment(manager, id);
    if (!deployment) return { kind: 'deployment-not-found' };
    const stage = currentStage(await loadStages(manager, id));
    const at = await readClock(manager);
    const approval = stage?.name === 'Approval' && deployment.request === null ? stage.approval : null;
    if (!stage || !approval || approval.verdict !== null || at > approval.expiresAt)
      return { kind: 'nothing-to-approve' };
    if (said.approved && isSamePerson(said.by, deployment.requesterEmail)) return { kind: 'own-approval' };
    const { approvals, required } = approval;
    const isRepeated = said.approved && approvals.some(({ by }) => isSamePerson(by, said.by));
    if (isRepeated) return { kind: 'accepted', approval: await findApproval(manager, stage.id) };
    await manager.query('UPDATE hotswap.deployment_stage SET approval = $2 WHERE id = $1', [
      stage.id,
      JSON.stringify(addWord(approval, said, at)),
    ]);
    await manager.query(
      `UPDATE hotswap.deployment SET next_look_at = now(), claimed_until = NULL, revision = revision + 1 WHERE id = $1`,
      [id],
    );
    await writeEvents(manager, id, [
      {
        type: said.approved ? 'approved' : 'rejected',
        stage: stage.name,
        environment: stage.environment,
        message: describe(stage.environment, said, approvals.length + 1, required),
        data: { by: said.by, required },
      },
    ]);
    await notifyWake(manager);
    return { kind: 'accepted', approval: await findApproval(manager, stage.id) };
  });
}

/** The first no is the last word, and so is the last yes that was needed. */
function addWord(approval: Approval, { approved, by, reason }: ApprovalVerdict, at: Instant): Approval {
  const word = { by, reason, at };
  if (!approved) return { ...approval, verdict: { ...word, approved } };
  const approvals = [...approval.approvals, word];
  return { ...approval, approvals, verdict: approvals.length >= approval.required ? { ...word, approved } : null };
}

function describe(
  environment: string | null,
  { approved, by, reason }: ApprovalVerdict,
  number: number,
  required: number,
): string {
  const count = approved && required > 1 ? ` (${number} of ${required})` : '';
  return `${by} ${approved ? 'approved' : 'rejected'} ${environment}${count}${reason ? `: ${reason}` : ''}`;
}

/** Mail addresses are written in any case. */
function isSamePerson(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
