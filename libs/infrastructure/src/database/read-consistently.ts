import type { Instant } from '@hotswap/domain';
import type { DataSource, EntityManager } from 'typeorm';

/** Runs `read` in one REPEATABLE READ, READ ONLY transaction: all of it sees the same moment, and `now` of the database's clock. */
export function readConsistently<T>(
  dataSource: DataSource,
  read: (manager: EntityManager, now: Instant) => Promise<T>,
): Promise<T> {
  return dataSource.transaction('REPEATABLE READ', async (manager) => {
    await manager.query('SET TRANSACTION READ ONLY');
    return read(manager, await readClock(manager));
  });
}

/** The database's clock, the only one that counts. */
export async function readClock(manager: EntityManager): Promise<Instant> {
  const [row] = await manager.query<[{ now: Date }]>('SELECT clock_timestamp()::timestamptz(3) AS now');
  return row.now.getTime();
}
