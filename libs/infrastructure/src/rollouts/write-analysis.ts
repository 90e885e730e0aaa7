import { second, type DeploymentView, type PipelineDecision } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';

/** Keeps where the stage's analysis has come to. False: someone else has gone on with it since the view was loaded. */
export async function writeAnalysis(
  manager: EntityManager,
  view: DeploymentView,
  { analysis, stageId }: PipelineDecision,
): Promise<boolean> {
  if (!analysis || !stageId) return true;
  const { beganAt, parameters, state, standing } = analysis.memory;
  const revision = view.environment?.analysis?.revision ?? 0;
  const written = await manager.query<unknown[]>(upsert, [
    stageId,
    new Date(beganAt),
    new Date(Math.round(beganAt + state.at * second)),
    JSON.stringify(parameters),
    JSON.stringify(state),
    standing && JSON.stringify(standing),
    revision,
  ]);
  if (written.length === 0) return false;
  await manager.query(insertEntries, [stageId, new Date(beganAt), JSON.stringify(analysis.entries)]);
  return true;
}

const upsert = `
  INSERT INTO hotswap.stage_analysis AS kept (stage_id, revision, began_at, taken_in_until, parameters, state, standing)
  SELECT $1::uuid, 1, $2::timestamptz, $3::timestamptz, $4::jsonb, $5::jsonb, $6::jsonb
  WHERE $7 = 0 OR EXISTS (SELECT FROM hotswap.stage_analysis WHERE stage_id = $1)
  ON CONFLICT (stage_id) DO UPDATE SET
    revision = kept.revision + 1,
    taken_in_until = excluded.taken_in_until,
    parameters = excluded.parameters,
    state = excluded.state,
    standing = excluded.standing
  WHERE kept.revision = $7
  RETURNING revision`;

const insertEntries = `
  INSERT INTO hotswap.stage_analysis_entry (stage_id, at, entry)
  SELECT $1::uuid, $2::timestamptz + (entry ->> 'at')::float8 * interval '1 second', entry
  FROM jsonb_array_elements($3) WITH ORDINALITY AS line (entry, ordinal)
  ORDER BY ordinal`;
