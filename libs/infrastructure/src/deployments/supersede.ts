import { environmentsUpTo, type DeploymentRequest } from '@hotswap/domain';
import type { CreateOutcome, NewDeployment } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { Abandoned } from '../database/in-transaction.js';
import { readClock } from '../database/read-consistently.js';
import { writeEvents } from '../rollouts/write-events.js';

/**
 * Asks the deployment in the way, if there is one, to make room for the deployment `by`, and answers its id. One that waits for another itself is
 * the one to wait for. Two that do not wait for each other can't both be waited for: `deployment-in-progress`.
 */
export async function supersede(manager: EntityManager, wanted: NewDeployment, by: string): Promise<string | null> {
  const holders = await manager.query<{ id: string; supersedes: string | null }[]>(lockHolders, [
    wanted.module,
    environmentsUpTo(wanted.targetEnvironment),
  ]);
  const awaited = new Set(holders.map(({ supersedes }) => supersedes));
  const [last, other] = holders.filter(({ id }) => !awaited.has(id));
  if (other) throw new Abandoned<CreateOutcome>({ kind: 'deployment-in-progress', id: other.id });
  if (!last) return null;
  const request: DeploymentRequest = { kind: 'supersede', by, at: await readClock(manager) };
  await manager.query(
    `UPDATE hotswap.deployment SET request = $2, next_look_at = now(), claimed_until = NULL, revision = revision + 1
     WHERE id = $1`,
    [last.id, JSON.stringify(request)],
  );
  await manager.query('UPDATE hotswap.deployment_stage SET is_superseded = true WHERE deployment_id = $1', [last.id]);
  await writeEvents(manager, last.id, [
    {
      type: 'supersede-requested',
      stage: null,
      environment: null,
      message: `${wanted.requesterEmail} asked for ${wanted.module}@${wanted.version} in its place`,
      data: { by },
    },
  ]);
  return last.id;
}

const lockHolders = `
  SELECT id, supersedes FROM hotswap.deployment
  WHERE finished_at IS NULL AND module = $1 AND EXISTS (
    SELECT FROM hotswap.deployment_stage AS stage
    WHERE stage.deployment_id = deployment.id AND stage.name IN ('Deploy', 'Validate')
      AND stage.status IN ('Pending', 'Running', 'Waiting', 'RollingBack') AND stage.environment = ANY($2))
  ORDER BY id
  FOR NO KEY UPDATE`;
