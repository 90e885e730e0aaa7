import { environmentsUpTo, planStages, reason, type EnvironmentName } from '@hotswap/domain';
import type { CreateOutcome, NewDeployment, NewEvent } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { Abandoned, inTransaction } from '../database/in-transaction.js';
import { isConflictOn } from '../database/postgres-error.js';
import { holdsPlan } from '../plans/check-plan.js';
import { writeEvents } from '../rollouts/write-events.js';
import { uuidV7 } from '../uuid-v7.js';
import { notifyWake } from '../wake.js';
import { findArtifact } from './find-artifact.js';
import { findUnfinished } from './find-unfinished.js';
import { supersede } from './supersede.js';

const attemptsMax = 5;

/** See the port. A conflict whose holder finishes at this very moment is tried again. */
export async function createDeployment(dataSource: DataSource, wanted: NewDeployment): Promise<CreateOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await inTransaction(dataSource, (manager) => write(manager, wanted));
    } catch (error) {
      if (!isConflictOn('deployment_stage_unfinished', error)) throw error;
      const holder = await findUnfinished(
        dataSource.manager,
        wanted.module,
        environmentsUpTo(wanted.targetEnvironment),
      );
      // One that came in between is asked to make room, too.
      if (holder && wanted.onConflict === 'reject') return { kind: 'deployment-in-progress', id: holder };
      if (attempt >= attemptsMax) throw error;
    }
  }
}

async function write(manager: EntityManager, wanted: NewDeployment): Promise<CreateOutcome> {
  const id = uuidV7();
  if (wanted.idempotency) await takeKey(manager, wanted.idempotency, id);
  const found = await findArtifact(manager, wanted);
  if (found.kind !== 'found') throw new Abandoned<CreateOutcome>(found);
  if (found.isWithdrawn) throw new Abandoned<CreateOutcome>({ kind: 'version-withdrawn' });
  const superseded = wanted.onConflict === 'supersede' ? await supersede(manager, wanted, id) : null;
  if (!(await holdsPlan(manager, wanted, found))) throw new Abandoned<CreateOutcome>({ kind: 'plan-outdated' });
  await manager.query(insertDeployment, [
    id,
    wanted.module,
    wanted.version,
    found.artifact,
    wanted.targetEnvironment,
    wanted.requesterEmail,
    wanted.description,
    JSON.stringify(wanted.metadata),
    wanted.requireApproval,
    JSON.stringify(reason('pending', 'Waits for the control plane to take it up')),
    wanted.traceparent,
    superseded,
    wanted.breakGlass ? JSON.stringify(wanted.breakGlass) : null,
    wanted.retryOf ?? null,
  ]);
  const stages = planStages(
    wanted.targetEnvironment,
    wanted.requireApproval,
    await loadAlwaysApproved(manager, wanted.targetEnvironment),
  );
  await manager.query(insertStages, [
    JSON.stringify(stages.map((stage, ordinal) => ({ ...stage, id: uuidV7(), ordinal }))),
    id,
    wanted.module,
  ]);
  // What is superseded has been asked to make room, and so has what it waits for itself.
  const holder = superseded
    ? null
    : await findUnfinished(manager, wanted.module, environmentsUpTo(wanted.targetEnvironment), id);
  if (holder) throw new Abandoned<CreateOutcome>({ kind: 'deployment-in-progress', id: holder });
  await writeEvents(manager, id, eventsOf(wanted));
  await notifyWake(manager);
  return { kind: 'created', id };
}

const insertDeployment = `
  INSERT INTO hotswap.deployment
    (id, module, version, artifact, target_environment, requester_email, description, metadata, require_approval,
     status, reason, traceparent, supersedes, break_glass, retry_of, created_at, next_look_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'Pending', $10, $11, $12, $13, $14, now(), now())`;

const insertStages = `
  INSERT INTO hotswap.deployment_stage (id, deployment_id, ordinal, name, module, environment, status)
  SELECT id, $2::uuid, ordinal, name, $3::text, environment, 'Pending'
  FROM jsonb_to_recordset($1) AS stage (id uuid, ordinal smallint, name text, environment text)
  ORDER BY ordinal`;

/**
 * Takes the key for this deployment, or answers for the deployment that has it. A second request with the key waits here until the
 * first has committed; one whose deployment came to nothing leaves no key.
 */
async function takeKey(
  manager: EntityManager,
  { key, bodyDigest }: NonNullable<NewDeployment['idempotency']>,
  id: string,
): Promise<void> {
  await manager.query(
    `DELETE FROM hotswap.idempotency_key WHERE key = $1 AND created_at < now() - interval '24 hours'`,
    [key],
  );
  const taken = await manager.query<unknown[]>(
    `INSERT INTO hotswap.idempotency_key (key, body_digest, deployment_id) VALUES ($1, $2, $3)
     ON CONFLICT (key) DO NOTHING RETURNING key`,
    [key, bodyDigest, id],
  );
  if (taken.length > 0) return;
  const [holder] = await manager.query<[{ body_digest: string; deployment_id: string }]>(
    'SELECT body_digest, deployment_id FROM hotswap.idempotency_key WHERE key = $1',
    [key],
  );
  throw new Abandoned<CreateOutcome>(
    holder.body_digest === bodyDigest
      ? { kind: 'repeated', id: holder.deployment_id }
      : { kind: 'idempotency-key-reused' },
  );
}

/** The environments on the way whose policy asks for an approval by itself. */
async function loadAlwaysApproved(manager: EntityManager, target: EnvironmentName): Promise<EnvironmentName[]> {
  const rows = await manager.query<{ name: EnvironmentName }[]>(
    `SELECT name FROM hotswap.environment WHERE name = ANY($1) AND policy -> 'approval' -> 'always' = 'true'`,
    [environmentsUpTo(target)],
  );
  return rows.map(({ name }) => name);
}

function eventsOf({
  module,
  version,
  targetEnvironment,
  requesterEmail,
  retryOf,
  breakGlass,
}: NewDeployment): NewEvent[] {
  const event = { stage: null, environment: null };
  const again = retryOf ? `, again after ${retryOf}` : '';
  const message = `${requesterEmail} asked for ${module}@${version} up to ${targetEnvironment}${again}`;
  const created = { ...event, type: 'deployment-created', message, data: retryOf ? { retryOf } : {} };
  if (!breakGlass) return [created];
  const { byEmail, reason: words } = breakGlass;
  const broken = `${byEmail} broke the glass: freezes do not hold for this deployment (${words})`;
  return [created, { ...event, type: 'glass-broken', message: broken, data: { ...breakGlass } }];
}
