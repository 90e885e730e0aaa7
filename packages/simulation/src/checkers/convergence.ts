import { finalStatuses, planOf, routesAlike } from '@hotswap/domain';
import { isSound } from '../behaviour.js';
import type { Machine } from '../node/simulated-node.js';
import { recordKey, type DeploymentRow } from '../store/memory-database.js';
import type { World } from '../world.js';

export const convergenceRule =
  'With the faults off every deployment ends, or says whom it waits for, and every node runs what its environment’s record says';

/** Reasons that end only when a person does something. */
const waitsForPerson = new Set([
  'paused',
  'awaiting-approval',
  'awaiting-promotion',
  'stable-broken',
  'not-judged',
  'sample-ratio',
  'nodes-lost',
  'no-budget',
]);

/** What has not come to rest yet; empty when everything has. */
export function findUnrest(world: World): string[] {
  return [...unfinishedDeployments(world), ...world.machines.flatMap((machine) => unsettledModules(world, machine))];
}

function unfinishedDeployments({ database }: World): string[] {
  const { deployments } = database.tables;
  const isResting = (row: DeploymentRow | undefined): boolean =>
    row === undefined ||
    finalStatuses.includes(row.status) ||
    waitsForPerson.has(row.reason.code) ||
    (row.reason.code === 'superseding' && isResting(deployments.get(row.supersedes ?? '')));
  return [...deployments.values()]
    .filter((row) => !isResting(row))
    .map(({ id, status, reason }) => `deployment ${id.slice(-4)} is ${status}: ${reason.code} (${reason.message})`);
}

function unsettledModules(world: World, { name, node, isUp, isRetired }: Machine): string[] {
  if (isRetired) return [];
  if (!isUp || !node) return [`${name} is down`];
  const { tables } = world.database;
  const row = tables.nodes.get(node.nodeId);
  if (!row) return [`${name} has not joined`];
  const accepted = node.desired?.accepted;
  if (accepted?.epoch !== row.document.epoch || accepted.revision !== row.document.revision)
    return [
      `${name} has accepted ${accepted?.epoch}.${accepted?.revision}, its document is ${row.document.epoch}.${row.document.revision}`,
    ];
  const served = new Map(node.host.reports().map(({ module, active }) => [module, active]));
  return [...row.assignments].flatMap(([module, plan]) => {
    const record = tables.records.get(recordKey(row.environment, module));
    if (record?.ownerStageId === null && !routesAlike(plan, planOf(record)))
      return [`${name} is not given what the record of ${module} says`];
    const version = plan.active && world.versions.get(plan.active.artifact);
    const active = served.get(module) ?? null;
    if (active === (plan.active?.digest ?? null) || (version && !isSound(version))) return [];
    return [`${name} serves ${active} of ${module}, and was asked for ${plan.active?.version ?? 'nothing'}`];
  });
}
