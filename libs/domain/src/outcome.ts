import type { Deployment, Stage, StageRollback } from './deployment.js';

/**
 * How a deployment, or one of its Deploy stages, came out, in the words of progressive delivery. `Fast…`: a person let it go on without waiting, or
 * all nodes went back by a flip to a release that was still started. `Aborted`: it ended before it had changed anything that lasts, by itself or by a
 * person's cancel. `Superseded`: another deployment took its place.
 */
export const outcomes = ['Promoted', 'FastPromoted', 'Aborted', 'Superseded', 'RolledBack', 'FastRolledBack'] as const;
export type Outcome = (typeof outcomes)[number];

/** Null: it is not over. */
export function outcomeOf({ status }: Deployment, stages: readonly Stage[]): Outcome | null {
  switch (status) {
    case 'Succeeded':
      return stages.some(isFastPromoted) ? 'FastPromoted' : 'Promoted';
    case 'RolledBack':
      return stages.filter((stage) => stage.status === 'RolledBack').every(isFastRolledBack)
        ? 'FastRolledBack'
        : 'RolledBack';
    case 'Failed':
    case 'Cancelled':
      return 'Aborted';
    case 'Superseded':
      return 'Superseded';
    default:
      return null;
  }
}

/** Of a Deploy stage; null: it is not over, or it had nothing to do. */
export function outcomeOfStage({ request }: Deployment, stage: Stage): Outcome | null {
  if (stage.name !== 'Deploy') return null;
  switch (stage.status) {
    case 'Succeeded':
      return isFastPromoted(stage) ? 'FastPromoted' : 'Promoted';
    case 'RolledBack':
      if (request?.kind === 'supersede') return 'Superseded';
      return isFastRolledBack(stage) ? 'FastRolledBack' : 'RolledBack';
    case 'Failed':
      return 'Aborted';
    default:
      return null;
  }
}

/** All stages that were taken back together: from the first decision to the last node. Null: none was. */
export function rollbackOf(stages: readonly Stage[]): StageRollback | null {
  const rollbacks = stages.flatMap((stage) => rollbackOfStage(stage) ?? []);
  if (rollbacks.length === 0) return null;
  const confirmed = rollbacks.flatMap(({ confirmedAt }) => confirmedAt ?? []);
  return {
    decidedAt: Math.min(...rollbacks.map(({ decidedAt }) => decidedAt)),
    confirmedAt: confirmed.length === rollbacks.length ? Math.max(...confirmed) : null,
    nodes: rollbacks.reduce((sum, { nodes }) => sum + nodes, 0),
    warmNodes: rollbacks.reduce((sum, { warmNodes }) => sum + warmNodes, 0),
  };
}

/** Null: it was not taken back, or was to be and its environment had moved on. */
export function rollbackOfStage({ status, rollback }: Stage): StageRollback | null {
  return status === 'RollingBack' || status === 'RolledBack' ? (rollback ?? null) : null;
}

function isFastPromoted({ name, status, progress }: Stage): boolean {
  return name === 'Deploy' && status === 'Succeeded' && typeof progress?.promotedAt === 'number';
}

function isFastRolledBack({ rollback }: Stage): boolean {
  return typeof rollback?.confirmedAt === 'number' && rollback.warmNodes === rollback.nodes;
}
