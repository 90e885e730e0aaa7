/**
 * Keeps that node $1, of this boot, is in this state from now on, unless that was so already and it was heard of lately. To run before (or in one
 * statement with) the write of the node's row: that forgets when it was heard of last.
 */
export function insertStateChange(boot: `$${number}`, state: `$${number}`): string {
  return `
    INSERT INTO hotswap.node_state_change (node_id, boot_id, state, at, silent_since)
    SELECT $1::text, ${boot}::text, ${state}::text, now(), (
      SELECT last_heartbeat_at FROM hotswap.node JOIN hotswap.node_silence ON node_id = node.id WHERE node.id = $1 AND is_lost)
    WHERE NOT EXISTS (
      SELECT FROM hotswap.node JOIN hotswap.node_silence ON node_id = node.id
      WHERE node.id = $1 AND boot_id = ${boot} AND reported_state = ${state} AND NOT is_lost)`;
}
