import {
  currentStage,
  finalStatuses,
  reason,
  type Deployment,
  type DeploymentRequest,
  type EnvironmentName,
  type Stage,
} from '@hotswap/domain';
import type { DeploymentStore, RequestOutcome } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { Abandoned, inTransaction } from '../database/in-transaction.js';
import { isConflictOn } from '../database/postgres-error.js';
import { readClock } from '../database/read-consistently.js';
import { deploymentEntity } from '../entities/deployment.js';
import { writeEvents } from '../rollouts/write-events.js';
import { notifyWake } from '../wake.js';
import { findUnfinished } from './find-unfinished.js';
import { loadStages } from './load-stages.js';
import { lockDeployment } from './lock-deployment.js';

export type ChangeRequest = Parameters<DeploymentStore['request']>[1];
type RollBack = Extract<ChangeRequest, { kind: 'roll-back' }>;
type DeployStage = Stage & { environment: EnvironmentName };

/** See the port. */
export async function requestChange(
  dataSource: DataSource,
  id: string,
  request: ChangeRequest,
): Promise<RequestOutcome> {
  try {
    return await inTransaction(dataSource, (manager) => write(manager, id, request));
  } catch (error) {
    if (!isConflictOn('deployment_stage_unfinished', error)) throw error;
    const holder = await findConflict(dataSource.manager, id);
    return holder ? { kind: 'deployment-in-progress', id: holder } : requestChange(dataSource, id, request);
  }
}

async function write(manager: EntityManager, id: string, request: ChangeRequest): Promise<RequestOutcome> {
  const deployment = await lockDeployment(manager, id);
  if (!deployment) return { kind: 'deployment-not-found' };
  const stages = await loadStages(manager, id);
  const isFinal = finalStatuses.includes(deployment.status);
  if (request.kind === 'cancel' && isFinal) return { kind: 'not-running' };
  if (request.kind === 'roll-back') {
    if (isFinal) return reopen(manager, deployment, stages, request);
    await checkRollBack(manager, deployment, stages, request);
  }
  await manager.query(
    `UPDATE hotswap.deployment SET request = $2, next_look_at = now(), claimed_until = NULL, revision = revision + 1
     WHERE id = $1`,
    [id, await toFact(manager, request)],
  );
  await notifyWake(manager);
  return { kind: 'accepted' };
}

/** An unfinished deployment has something to take back where a node may have been touched. */
async function checkRollBack(
  manager: EntityManager,
  { id, module }: Deployment,
  stages: Stage[],
  { scope }: RollBack,
): Promise<void> {
  const touched = deployStages(stages).filter(
    ({ startedAt, status }) =>
      startedAt !== null && (status === 'Running' || status === 'RollingBack' || status === 'Succeeded'),
  );
  const inHand = currentStage(stages);
  const inScope =
    scope === 'all'
      ? touched
      : touched.filter((stage) => inHand?.name !== 'Approval' && stage.environment === inHand?.environment);
  if (inScope.length === 0) throw new Abandoned<RequestOutcome>({ kind: 'nothing-to-roll-back' });
  const holder = await findUnfinished(
    manager,
    module,
    inScope.map(({ environment }) => environment),
    id,
  );
  if (holder) throw new Abandoned<RequestOutcome>({ kind: 'deployment-in-progress', id: holder });
}

/** Makes a finished deployment an unfinished one whose Deploy stages in scope are being taken back. */
async function reopen(
  manager: EntityManager,
  deployment: Deployment,
  stages: Stage[],
  request: RollBack,
): Promise<RequestOutcome> {
  if (deployment.status !== 'Succeeded') return { kind: 'nothing-to-roll-back' };
  const brought = deployStages(stages).filter(
    ({ status, environment }) =>
      status === 'Succeeded' && (request.scope === 'all' || environment === deployment.targetEnvironment),
  );
  if (brought.length === 0) return { kind: 'nothing-to-roll-back' };
  const current = await filterCurrent(manager, deployment.module, brought);
  if (current.length === 0) return { kind: 'not-current', message: describeMoved(deployment, brought) };
  const because = reason(
    'rollback-requested',
    `Someone asked to take ${deployment.module}@${deployment.version} back from ${current.map(({ environment }) => environment).join(', ')}${request.reason ? `: ${request.reason}` : ''}`,
    { scope: request.scope },
  );
  for (const { id } of current) await manager.query(reopenStage, [id, JSON.stringify(because)]);
  await manager.query(reopenDeployment, [deployment.id, JSON.stringify(because), await toFact(manager, request)]);
  await writeEvents(
    manager,
    deployment.id,
    current.map(({ name, environment }) => ({
      type: 'rolling-back',
      stage: name,
      environment,
      message: because.message,
      data: { code: because.code, ...because.data },
    })),
  );
  await notifyWake(manager);
  return { kind: 'accepted' };
}

const reopenStage = `
  UPDATE hotswap.deployment_stage SET status = 'RollingBack', finished_at = NULL, nodes = NULL, reason = $2 WHERE id = $1`;

const reopenDeployment = `
  UPDATE hotswap.deployment SET
    status = 'RollingBack',
    reason = $2,
    rollback_reason = $2,
    request = $3,
    finished_at = NULL,
    next_look_at = now(),
    claimed_until = NULL,
    revision = revision + 1
  WHERE id = $1`;

/** The stages whose environment still runs what they brought, and is nobody else's now. Their records stay locked. */
async function filterCurrent(manager: EntityManager, module: string, brought: DeployStage[]): Promise<DeployStage[]> {
  const records = await manager.query<{ environment: string; release: string | null }[]>(
    `SELECT environment, release FROM hotswap.environment_release
     WHERE module = $1 AND environment = ANY($2) ORDER BY environment FOR UPDATE`,
    [module, brought.map(({ environment }) => environment)],
  );
  return brought.filter(({ environment, to }) =>
    records.some((record) => record.environment === environment && to !== null && record.release === to.digest),
  );
}

async function findConflict(manager: EntityManager, id: string): Promise<string | null> {
  const deployment = await manager
    .createQueryBuilder(deploymentEntity, 'deployment')
    .where('deployment.id = :id', { id })
    .getOneOrFail();
  const environments = deployStages(await loadStages(manager, id)).map(({ environment }) => environment);
  return findUnfinished(manager, deployment.module, environments, id);
}

async function toFact(manager: EntityManager, request: ChangeRequest): Promise<string> {
  const fact: DeploymentRequest = { ...request, at: await readClock(manager) };
  return JSON.stringify(fact);
}

function deployStages(stages: readonly Stage[]): DeployStage[] {
  return stages.filter((stage): stage is DeployStage => stage.name === 'Deploy' && stage.environment !== null);
}

function describeMoved({ module, version }: Deployment, brought: DeployStage[]): string {
  const places = brought.map(({ environment }) => environment).join(', ');
  return `${places} no longer runs what this deployment of ${module}@${version} brought: deploy the version you want instead`;
}
