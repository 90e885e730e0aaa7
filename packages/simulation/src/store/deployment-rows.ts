import type { Deployment, EnvironmentName, Stage } from '@hotswap/domain';
import type { DeploymentRow, StageRow, Tables, Writer } from './memory-database.js';

export function stagesOf({ stages }: Tables, deploymentId: string): StageRow[] {
  return [...stages.values()]
    .filter((stage) => stage.deploymentId === deploymentId)
    .sort((a, b) => a.ordinal - b.ordinal);
}

export function toStage({ deploymentId: _, module: __, isSuperseded: ___, ...stage }: StageRow): Stage {
  return stage;
}

export function toDeployment(
  tables: Tables,
  { supersedes, nextLookAt: _, claimedUntil: __, ...fields }: DeploymentRow,
): Deployment {
  const superseded = supersedes === null ? undefined : tables.deployments.get(supersedes);
  return { ...fields, supersedes: superseded ? { id: superseded.id, status: superseded.status } : null };
}

export function isUnfinished(status: string): boolean {
  return status === 'Pending' || status === 'Running' || status === 'Waiting' || status === 'RollingBack';
}

/** The stage that stands in the way of this one's being unfinished. */
export function findOtherUnfinished({ stages }: Tables, stage: StageRow | undefined): StageRow | undefined {
  if (!stage || !isExclusive(stage)) return undefined;
  return [...stages.values()].find(
    (other) =>
      other.id !== stage.id &&
      isExclusive(other) &&
      other.environment === stage.environment &&
      other.module === stage.module,
  );
}

function isExclusive({ name, status, isSuperseded }: StageRow): boolean {
  return name === 'Deploy' && isUnfinished(status) && !isSuperseded;
}

/** A person's word: whoever decided without it has to look again, and someone has to look at once. */
export function changed(writer: Writer, row: DeploymentRow, change: Partial<DeploymentRow>): void {
  const { now } = writer;
  writer.set('deployments', row.id, {
    ...row,
    nextLookAt: now,
    claimedUntil: null,
    revision: row.revision + 1,
    ...change,
  });
}

/** The deployment that holds this module in one of these environments. */
export function findUnfinished(
  { stages }: Tables,
  module: string,
  environments: readonly EnvironmentName[],
  exceptId: string | null = null,
): string | null {
  const holder = [...stages.values()].find(
    (stage) =>
      (stage.name === 'Deploy' || stage.name === 'Validate') &&
      isUnfinished(stage.status) &&
      stage.module === module &&
      stage.environment !== null &&
      environments.includes(stage.environment) &&
      stage.deploymentId !== exceptId,
  );
  return holder?.deploymentId ?? null;
}
