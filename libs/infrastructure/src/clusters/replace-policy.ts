import { frozenTimes, type EnvironmentName, type ListeningGap, type Policy } from '@hotswap/domain';
import type { VersionedPolicy } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { readClock } from '../database/read-consistently.js';
import { notifyWake } from '../wake.js';

/** See the port. Also makes the deployments that are judged by it due: what they wait for may have changed. */
export function replacePolicy(
  dataSource: DataSource,
  environment: EnvironmentName,
  policy: Policy,
  expectedRevision: number,
): Promise<VersionedPolicy | null> {
  return inTransaction(dataSource, async (manager) => {
    await manager.query(wakeDeploymentsIn, [environment]);
    const [before] = await manager.query<{ policy: Policy }[]>(
      'SELECT policy FROM hotswap.environment WHERE name = $1 AND policy_revision = $2 FOR NO KEY UPDATE',
      [environment, expectedRevision],
    );
    if (!before) return null;
    await keepFrozenTimes(manager, environment, before.policy);
    const revision = expectedRevision + 1;
    await manager.query('UPDATE hotswap.environment SET policy = $2, policy_revision = $3 WHERE name = $1', [
      environment,
      JSON.stringify(policy),
      revision,
    ]);
    await notifyWake(manager);
    return { policy, revision };
  });
}

/** What a freeze has held so far counts for no bake and no deadline, also when it is not in the policy any more. */
async function keepFrozenTimes(manager: EntityManager, environment: EnvironmentName, { freeze = [] }: Policy) {
  if (!freeze.some(({ runningRollouts }) => runningRollouts === 'hold')) return;
  const now = await readClock(manager);
  const held = await manager.query<{ id: string; created_at: Date; pauses: ListeningGap[] }[]>(
    `SELECT id, created_at, pauses FROM hotswap.deployment WHERE break_glass IS NULL AND id IN (${unfinishedIn})`,
    [environment],
  );
  for (const { id, created_at, pauses } of held) {
    const isNew = (time: ListeningGap) => !pauses.some(({ from, to }) => from === time.from && to === time.to);
    const times = frozenTimes(freeze, created_at.getTime(), now, 'hold').filter(isNew);
    if (times.length === 0) continue;
    await manager.query('UPDATE hotswap.deployment SET pauses = pauses || $2::jsonb WHERE id = $1', [
      id,
      JSON.stringify(times),
    ]);
  }
}

const unfinishedIn = `
  SELECT deployment.id FROM hotswap.deployment
  WHERE next_look_at IS NOT NULL AND EXISTS (
    SELECT FROM hotswap.deployment_stage AS stage
    WHERE stage.deployment_id = deployment.id AND stage.environment = $1
      AND stage.status IN ('Pending', 'Running', 'Waiting', 'RollingBack'))`;

const wakeDeploymentsIn = `
  UPDATE hotswap.deployment SET next_look_at = now()
  WHERE id IN (${unfinishedIn} ORDER BY deployment.id FOR NO KEY UPDATE)`;
