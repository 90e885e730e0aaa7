import type { DataSource } from 'typeorm';

/** Claims unfinished deployments that are due, the longest due first; skips rows that someone else is claiming at this moment. */
export async function claimDue(dataSource: DataSource, limit: number, leaseSeconds: number): Promise<string[]> {
  const [rows] = await dataSource.query<[{ id: string }[], number]>(
    `WITH due AS MATERIALIZED (
       SELECT id FROM hotswap.deployment
       WHERE next_look_at <= now() AND (claimed_until IS NULL OR claimed_until < now())
       ORDER BY next_look_at
       LIMIT $1
       FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE hotswap.deployment SET claimed_until = now() + $2 * interval '1 second'
     FROM due WHERE deployment.id = due.id
     RETURNING deployment.id`,
    [limit, leaseSeconds],
  );
  return rows.map(({ id }) => id);
}
