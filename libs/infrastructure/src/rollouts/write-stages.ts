import type { DeploymentView, Stage, StageChange } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';
import { countNodes } from '../deployments/count-nodes.js';

/** Writes what changes in stages, in the deployment's order (their releases are kept already); `started_at` and `finished_at` follow from the status. */
export async function writeStages(
  manager: EntityManager,
  { stages }: DeploymentView,
  changes: readonly StageChange[],
): Promise<void> {
  for (const stage of stages) {
    for (const change of changes) if (change.stageId === stage.id) await writeStage(manager, stage, change);
  }
}

async function writeStage(manager: EntityManager, stage: Stage, change: StageChange): Promise<void> {
  const newStatus = change.status === stage.status ? undefined : change.status;
  await manager.query(updateStage, [
    stage.id,
    newStatus ?? null,
    change.strategy ?? null,
    change.from !== undefined,
    change.from?.digest ?? null,
    change.to?.digest ?? null,
    toJson(change.progress),
    toJson(change.reason),
    toJson(change.approval),
    toJson(change.rollback),
  ]);
  if (newStatus) await manager.query(keepNodeCounts, [stage.id]);
}

const updateStage = `
  UPDATE hotswap.deployment_stage SET
    status = coalesce($2, status),
    strategy = coalesce($3, strategy),
    from_release = CASE WHEN $4 THEN $5 ELSE from_release END,
    to_release = coalesce($6, to_release),
    progress = coalesce($7, progress),
    reason = coalesce($8, reason),
    approval = coalesce($9, approval),
    rollback = coalesce($10, rollback),
    started_at = CASE WHEN coalesce($2, status) IN ('Pending', 'Skipped') THEN started_at ELSE coalesce(started_at, now()) END,
    finished_at = CASE
      WHEN coalesce($2, status) NOT IN ('Succeeded', 'Skipped', 'Failed', 'RolledBack') THEN NULL
      WHEN $2 IS NOT NULL THEN now()
      ELSE finished_at END
  WHERE id = $1`;

/** A finished stage keeps the counts of its end: its nodes go on to other releases. */
const keepNodeCounts = `
  UPDATE hotswap.deployment_stage AS stage SET nodes = CASE WHEN finished_at IS NULL THEN NULL ELSE (${countNodes}) END
  WHERE id = $1 AND name = 'Deploy' AND started_at IS NOT NULL`;

function toJson(value: object | undefined): string | null {
  return value ? JSON.stringify(value) : null;
}
