/**
 * One jsonb object per row of `deployment_stage AS stage`: the environment's nodes, and of them those that give requests to the stage's target
 * (`updated`), where it is ready for them, and where it could not be made to run.
 */
export const countNodes = `
  SELECT jsonb_build_object(
    'total', count(*),
    'updated', count(*) FILTER (
      WHERE seen.active = stage.to_release OR (seen.candidate = stage.to_release AND seen.candidate_percent > 0)),
    'ready', count(*) FILTER (WHERE EXISTS (
      SELECT FROM jsonb_array_elements(seen.instances) AS instance
      WHERE instance ->> 'release' = stage.to_release AND instance ->> 'state' IN ('Ready', 'Active'))),
    'failed', count(*) FILTER (WHERE EXISTS (
      SELECT FROM jsonb_array_elements(seen.instances) AS instance
      WHERE instance ->> 'release' = stage.to_release AND instance ->> 'state' = 'Failed')))
  FROM hotswap.node
  LEFT JOIN hotswap.node_observation AS seen ON seen.node_id = node.id AND seen.module = stage.module
  WHERE node.environment = stage.environment AND decommissioned_at IS NULL AND reported_state <> 'Gone'`;
