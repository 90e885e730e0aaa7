import { currentStage, finalStatuses, type Deployment, type Stage } from '@hotswap/domain';
import type { ControlOutcome, DeploymentControl } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { writeEvents } from '../rollouts/write-events.js';
import { notifyWake } from '../wake.js';
import { loadStages } from './load-stages.js';
import { lockDeployment } from './lock-deployment.js';

/** See the port. */
export function controlDeployment(
  dataSource: DataSource,
  id: string,
  control: DeploymentControl,
): Promise<ControlOutcome> {
  return inTransaction(dataSource, async (manager) => {
    const deployment = await lockDeployment(manager, id);
    if (!deployment) return 'deployment-not-found';
    const stage = currentStage(await loadStages(manager, id));
    const refusal = refuse(deployment, stage, control);
    if (refusal) return refusal;
    // Paused once is paused: its time runs from the first request.
    if (control.kind === 'pause' && deployment.pausedAt !== null) return 'accepted';
    await write(manager, id, control);
    await writeEvents(manager, id, [toEvent(stage, control)]);
    await notifyWake(manager);
    return 'accepted';
  });
}

function refuse(deployment: Deployment, stage: Stage | null, { kind }: DeploymentControl): ControlOutcome | null {
  const isOver = finalStatuses.includes(deployment.status);
  // What is on its way back goes there without a stop.
  const isGoingOn = !isOver && deployment.request === null && stage?.status !== 'RollingBack';
  switch (kind) {
    case 'pause':
      return isGoingOn ? null : 'not-running';
    case 'resume':
      return !isOver && deployment.pausedAt !== null ? null : 'not-paused';
    case 'promote':
      return isGoingOn && stage?.name === 'Deploy' && stage.status === 'Running' ? null : 'nothing-to-promote';
  }
}

async function write(manager: EntityManager, id: string, control: DeploymentControl): Promise<void> {
  const parameters = control.kind === 'promote' ? [id, control.full ? 'full' : 'step'] : [id];
  await manager.query(
    `UPDATE hotswap.deployment SET ${changes[control.kind]},
       next_look_at = now(), claimed_until = NULL, revision = revision + 1
     WHERE id = $1`,
    parameters,
  );
}

const changes: Record<DeploymentControl['kind'], string> = {
  pause: 'paused_at = now()',
  resume: `paused_at = NULL, pauses = pauses || jsonb_build_object(
    'from', round(extract(epoch FROM paused_at) * 1000), 'to', round(extract(epoch FROM now()) * 1000))`,
  promote: `promotion = CASE WHEN promotion = 'full' THEN promotion ELSE $2 END`,
};

function toEvent(stage: Stage | null, control: DeploymentControl) {
  const words = control.reason ? `: ${control.reason}` : '';
  const [type, message] = describe(control);
  return {
    type,
    stage: stage?.name ?? null,
    environment: stage?.environment ?? null,
    message: `${message}${words}`,
    data: control.kind === 'promote' ? { full: control.full } : {},
  };
}

function describe(control: DeploymentControl): [type: string, message: string] {
  switch (control.kind) {
    case 'pause':
      return ['paused', 'Someone asked to pause'];
    case 'resume':
      return ['resumed', 'Someone asked to go on'];
    case 'promote':
      return ['promoted', `Someone asked to go on without waiting, ${control.full ? 'to the last step' : 'one step'}`];
  }
}
