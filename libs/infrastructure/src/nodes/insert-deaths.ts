/** Processes that ended longer after they had activated a release say nothing about it, and are not kept. */
const keptSeconds = 300;

/**
 * Keeps that the process of node $1 that was heard before this boot, $2, ended without a word, for each module whose wanted release it had taken in. To run
 * before the node's row and its observations are those of the new boot.
 */
export const insertDeaths = `
  INSERT INTO hotswap.node_death (node_id, boot_id, module, release, activated_at, last_heard_at, noticed_at)
  SELECT node_id, boot_id, module, release, activated_at, last_heartbeat_at, now()
  FROM (
    SELECT node.id AS node_id, node.boot_id, node.last_heartbeat_at, wanted.module, wanted.active AS release,
      CASE WHEN seen.active = wanted.active THEN seen.since ELSE greatest(wanted.assigned_at, node.joined_at) END AS activated_at
    FROM hotswap.node
    JOIN hotswap.node_assignment AS wanted ON wanted.node_id = node.id
    LEFT JOIN hotswap.node_observation AS seen ON seen.node_id = node.id AND seen.module = wanted.module
    WHERE node.id = $1 AND node.boot_id <> $2 AND reported_state IN ('Starting', 'Ready') AND wanted.active IS NOT NULL
      AND (accepted_epoch, accepted_revision) >= (wanted.epoch, wanted.revision)
  ) AS death
  WHERE last_heartbeat_at - activated_at < ${keptSeconds} * interval '1 second'
  ON CONFLICT DO NOTHING`;
