import { currentStage, type Approval } from '@hotswap/domain';
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
    const isAsked =
      stage?.name === 'Approval' &&
      deployment.request === null &&
      stage.approval?.verdict === null &&
      at <= stage.approval.expiresAt;
    if (!isAsked) return { kind: 'nothing-to-approve' };
    if (said.approved && isSamePerson(said.by, deployment.requesterEmail)) return { kind: 'own-approval' };
    const verdict: Approval['verdict'] = { approved: said.approved, by: said.by, reason: said.reason, at };
    await manager.query(
      `UPDATE hotswap.deployment_stage SET approval = jsonb_set(approval, '{verdict}', $2::jsonb) WHERE id = $1`,
      [stage.id, JSON.stringify(verdict)],
    );
    await manager.query(
      `UPDATE hotswap.deployment SET next_look_at = now(), claimed_until = NULL, revision = revision + 1 WHERE id = $1`,
      [id],
    );
    await writeEvents(manager, id, [
      {
        type: said.approved ? 'approved' : 'rejected',
        stage: stage.name,
        environment: stage.environment,
        message: `${said.by} ${said.approved ? 'approved' : 'rejected'} ${stage.environment}${said.reason ? `: ${said.reason}` : ''}`,
        data: { by: said.by },
      },
    ]);
    await notifyWake(manager);
    return { kind: 'accepted', approval: await findApproval(manager, stage.id) };
  });
}

/** Mail addresses are written in any case. */
function isSamePerson(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
