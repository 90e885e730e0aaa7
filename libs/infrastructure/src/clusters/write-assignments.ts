import type { ModuleAssignment, NodeDocument, ProbeOrder } from '@hotswap/agent-protocol';
import { warmSecondsOf, type PlannedNode, type Policy, type Release } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';
import { loadReleases, saveReleases } from '../releases.js';

export interface PlannedModule extends PlannedNode {
  module: string;
  traceparent: string | null;
}

/**
 * Writes what nodes are to run, and for each node whose wishes changed its next document, in the caller's transaction. Nodes that
 * were decommissioned and plans that a node has already are left out. Answers how many plans were new.
 */
export async function writeAssignments(manager: EntityManager, plans: readonly PlannedModule[]): Promise<number> {
  if (plans.length === 0) return 0;
  await saveReleases(
    manager,
    plans.flatMap(({ plan }) => [plan.active, plan.candidate, plan.fallback, ...plan.warm]),
  );
  await lockNodes(manager, [...new Set(plans.map(({ nodeId }) => nodeId))]);
  const written = await manager.query<{ node_id: string }[]>(upsertAssignments, [JSON.stringify(plans.map(toRow))]);
  await advanceDocuments(manager, [...new Set(written.map(({ node_id }) => node_id))]);
  return written.length;
}

/**
 * Nodes whose newest document keeps the module's way back started because a deployment held the module there, in environments where none does any more:
 * `advanceDocuments` tells them the policy's time. The caller has locked the environments' nodes: whoever writes their documents meanwhile still sees the
 * module held.
 */
export async function findHolding(
  manager: EntityManager,
  module: string,
  environments: readonly string[],
): Promise<string[]> {
  if (environments.length === 0) return [];
  const nodes = await manager.query<{ id: string }[]>(
    `SELECT node.id FROM hotswap.node
     JOIN hotswap.environment ON environment.name = node.environment
     JOIN hotswap.node_assignment AS assignment ON assignment.node_id = node.id
     JOIN hotswap.node_document AS newest
       ON newest.node_id = node.id AND (newest.epoch, newest.revision) = (node.document_epoch, node.document_revision)
     WHERE node.environment = ANY($1) AND assignment.module = $2 AND decommissioned_at IS NULL AND NOT ${isHeld}
       AND EXISTS (SELECT FROM jsonb_array_elements(newest.document -> 'modules') AS told
         WHERE told ->> 'module' = $2 AND told -> 'policy' -> 'warmSeconds' <> environment.policy -> 'warmSeconds')`,
    [environments, module],
  );
  return nodes.map(({ id }) => id);
}

/** Whether a deployment holds the `assignment`'s module in the `node`'s environment: what `findUnfinished` finds. */
const isHeld = `EXISTS (
  SELECT FROM hotswap.deployment_stage AS stage
  WHERE stage.environment = node.environment AND stage.module = assignment.module AND stage.name IN ('Deploy', 'Validate')
    AND stage.status IN ('Pending', 'Running', 'Waiting', 'RollingBack'))`;

/** These nodes and all of these environments, in the order of their ids, so that two writers never wait for each other. */
export async function lockNodes(
  manager: EntityManager,
  nodeIds: readonly string[],
  environments: readonly string[] = [],
): Promise<void> {
  if (nodeIds.length === 0 && environments.length === 0) return;
  await manager.query(
    'SELECT FROM hotswap.node WHERE id = ANY($1) OR environment = ANY($2) ORDER BY id FOR NO KEY UPDATE',
    [nodeIds, environments],
  );
}

/** Composes and keeps the documents of nodes that the caller has locked, at the (epoch, revision) in their rows. */
export async function composeDocuments(manager: EntityManager, nodeIds: readonly string[]): Promise<void> {
  const nodes = await manager.query<DocumentRow[]>(selectDocuments, [nodeIds]);
  const assignments = await manager.query<AssignmentRow[]>(selectAssignments, [nodeIds]);
  const releases = await loadReleases(
    manager,
    assignments.flatMap((row) => [row.active, row.candidate, row.fallback, ...row.warm]),
  );
  const documents = nodes.map((node): { nodeId: string } & NodeDocument => ({
    nodeId: node.id,
    epoch: node.document_epoch,
    revision: node.document_revision,
    ...(node.drained_boot_id !== null && { drainedBootId: node.drained_boot_id }),
    modules: assignments
      .filter((row) => row.node_id === node.id)
      .map((row) => toModuleAssignment(row, node.policy, releases)),
  }));
  await manager.query(
    `INSERT INTO hotswap.node_document (node_id, epoch, revision, document)
     SELECT document ->> 'nodeId', (document -> 'epoch')::integer, (document -> 'revision')::integer, document - 'nodeId'
     FROM jsonb_array_elements($1) AS document`,
    [JSON.stringify(documents)],
  );
}

const upsertAssignments = `
  INSERT INTO hotswap.node_assignment AS assignment
    (node_id, module, active, candidate, candidate_percent, twin, probe, warm, fallback, traceparent, epoch, revision)
  SELECT node.id, module, active, candidate, "candidatePercent", twin, probe, warm, fallback, traceparent, document_epoch, document_revision + 1
  FROM jsonb_to_recordset($1) AS plan
    ("nodeId" text, module text, active text, candidate text, "candidatePercent" double precision, twin boolean, probe jsonb, warm text[], fallback text, traceparent text)
  JOIN hotswap.node ON node.id = plan."nodeId" AND decommissioned_at IS NULL
  ON CONFLICT (node_id, module) DO UPDATE SET
    active = excluded.active,
    candidate = excluded.candidate,
    candidate_percent = excluded.candidate_percent,
    twin = excluded.twin,
    probe = excluded.probe,
    warm = excluded.warm,
    fallback = excluded.fallback,
    traceparent = excluded.traceparent,
    epoch = excluded.epoch,
    revision = excluded.revision,
    assigned_at = now()
  WHERE (assignment.active, assignment.candidate, assignment.candidate_percent, assignment.twin, assignment.probe, assignment.warm, assignment.fallback)
    IS DISTINCT FROM (excluded.active, excluded.candidate, excluded.candidate_percent, excluded.twin, excluded.probe, excluded.warm, excluded.fallback)
  RETURNING node_id`;

interface DocumentRow {
  id: string;
  document_epoch: number;
  document_revision: number;
  drained_boot_id: string | null;
  policy: Policy;
}

const selectDocuments = `
  SELECT id, document_epoch, document_revision, drained_boot_id, policy
  FROM hotswap.node
  JOIN hotswap.environment ON environment.name = node.environment
  WHERE id = ANY($1)`;

interface AssignmentRow {
  node_id: string;
  module: string;
  active: string | null;
  candidate: string | null;
  candidate_percent: number;
  twin: boolean;
  probe: ProbeOrder | null;
  warm: string[];
  fallback: string | null;
  traceparent: string | null;
  is_held: boolean;
}

const selectAssignments = `
  SELECT node_id, module, active, candidate, candidate_percent, twin, probe, warm, fallback, traceparent, ${isHeld} AS is_held
  FROM hotswap.node_assignment AS assignment
  JOIN hotswap.node ON node.id = node_id
  WHERE node_id = ANY($1)
  ORDER BY node_id, module`;

/** Of nodes that the caller has locked. */
export async function advanceDocuments(manager: EntityManager, nodeIds: readonly string[]): Promise<void> {
  if (nodeIds.length === 0) return;
  await manager.query('UPDATE hotswap.node SET document_revision = document_revision + 1 WHERE id = ANY($1)', [
    nodeIds,
  ]);
  await composeDocuments(manager, nodeIds);
}

function toRow({ nodeId, module, plan, traceparent }: PlannedModule) {
  return {
    nodeId,
    module,
    active: plan.active?.digest ?? null,
    candidate: plan.candidate?.digest ?? null,
    candidatePercent: plan.candidatePercent,
    twin: plan.twin ?? false,
    probe: plan.probe ?? null,
    warm: plan.warm.map(({ digest }) => digest),
    fallback: plan.fallback?.digest ?? null,
    traceparent,
  };
}

function toModuleAssignment(
  row: AssignmentRow,
  policy: Policy,
  releases: ReadonlyMap<string, Release>,
): ModuleAssignment {
  const find = (digest: string | null) => (digest === null ? null : (releases.get(digest) ?? null));
  return {
    module: row.module,
    active: find(row.active),
    candidate: find(row.candidate),
    candidatePercent: row.candidate_percent,
    ...(row.twin && { twin: true }),
    ...(row.probe && { probe: row.probe }),
    warm: row.warm.flatMap((digest) => releases.get(digest) ?? []),
    fallback: find(row.fallback),
    policy: { warmSeconds: warmSecondsOf(policy, row.is_held), drainSeconds: policy.drainSeconds },
    traceparent: row.traceparent,
  };
}
