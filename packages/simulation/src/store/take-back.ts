import { currentStage, reason, type DeploymentRequest, type EnvironmentName } from '@hotswap/domain';
import type { RequestOutcome } from '@hotswap/orchestrator';
import { appendEvents } from './append-events.js';
import { changed, findOtherUnfinished, findUnfinished, stagesOf } from './deployment-rows.js';
import {
  Abandoned,
  recordKey,
  type DeploymentRow,
  type StageRow,
  type Tables,
  type Writer,
} from './memory-database.js';

type RollBack = Extract<DeploymentRequest, { kind: 'roll-back' }>;
type DeployRow = StageRow & { environment: EnvironmentName };

/** An unfinished deployment has something to take back where a node may have been touched. */
export function checkRollBack(tables: Tables, { id, module }: DeploymentRow, { scope }: RollBack): void {
  const stages = stagesOf(tables, id);
  const touched = deployStages(stages).filter(
    ({ startedAt, status }) =>
      startedAt !== null && (status === 'Running' || status === 'RollingBack' || status === 'Succeeded'),
  );
  const inHand = currentStage(stages);
  const inScope =
    scope === 'all'
      ? touched
      : touched.filter(({ environment }) => inHand?.name !== 'Approval' && environment === inHand?.environment);
  if (inScope.length === 0) throw new Abandoned({ kind: 'nothing-to-roll-back' } satisfies RequestOutcome);
  const places = inScope.map(({ environment }) => environment);
  const holder = findUnfinished(tables, module, places, id);
  if (holder) throw new Abandoned({ kind: 'deployment-in-progress', id: holder } satisfies RequestOutcome);
}

/** Makes a finished deployment an unfinished one whose Deploy stages in scope are being taken back. */
export function reopen(writer: Writer, row: DeploymentRow, request: RollBack): RequestOutcome {
  if (row.status !== 'Succeeded') return { kind: 'nothing-to-roll-back' };
  const { module, version, targetEnvironment } = row;
  const brought = deployStages(stagesOf(writer.read, row.id)).filter(
    ({ status, environment }) =>
      status === 'Succeeded' && (request.scope === 'all' || environment === targetEnvironment),
  );
  if (brought.length === 0) return { kind: 'nothing-to-roll-back' };
  const current = brought.filter(
    ({ environment, to }) =>
      to !== null && writer.read.records.get(recordKey(environment, module))?.release?.digest === to.digest,
  );
  const placesOf = (stages: readonly DeployRow[]) => stages.map(({ environment }) => environment).join(', ');
  if (current.length === 0) {
    const message = `${placesOf(brought)} no longer runs what this deployment of ${module}@${version} brought: deploy the version you want instead`;
    return { kind: 'not-current', message };
  }
  const why = `Someone asked to take ${module}@${version} back from ${placesOf(current)}${request.reason ? `: ${request.reason}` : ''}`;
  const because = reason('rollback-requested', why, { scope: request.scope });
  for (const stage of current) {
    const reopened: StageRow = { ...stage, status: 'RollingBack', finishedAt: null, reason: because };
    const other = findOtherUnfinished(writer.read, reopened);
    if (other) throw new Abandoned({ kind: 'deployment-in-progress', id: other.deploymentId } satisfies RequestOutcome);
    writer.set('stages', stage.id, reopened);
  }
  changed(writer, row, { status: 'RollingBack', reason: because, rollbackReason: because, request, finishedAt: null });
  appendEvents(
    writer,
    row.id,
    current.map(({ name, environment }) => ({
      type: 'rolling-back',
      stage: name,
      environment,
      message: because.message,
      data: { code: because.code, ...because.data },
    })),
  );
  return { kind: 'accepted' };
}

function deployStages(stages: readonly StageRow[]): DeployRow[] {
  return stages.filter((stage): stage is DeployRow => stage.name === 'Deploy' && stage.environment !== null);
}
