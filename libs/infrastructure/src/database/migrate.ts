import { defaultPolicy, environments } from '@hotswap/domain';
import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';

const logger = new Logger('Database');
const retryMilliseconds = 200;
/** Any number that no other program uses on this database: "hotswap" as bytes. */
const migrationLock = '29395943522001264';

/** Brings the schema up to date, one replica at a time, and writes the environments that are not there yet. */
export async function migrate(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    await lock(runner);
    await runner.query('SET statement_timeout = 0');
    await runner.query('CREATE SCHEMA IF NOT EXISTS hotswap');
    for (const { name } of await dataSource.runMigrations({ transaction: 'each' })) logger.log(`Migrated: ${name}`);
    await seedEnvironments(runner);
  } finally {
    await unlock(runner);
    await runner.release();
  }
}

async function lock(runner: QueryRunner): Promise<void> {
  while (!(await tryLock(runner))) await delay(retryMilliseconds);
}

async function tryLock(runner: QueryRunner): Promise<boolean> {
  const [row] = (await runner.query('SELECT pg_try_advisory_lock($1) AS locked', [migrationLock])) as [
    { locked: boolean },
  ];
  return row.locked;
}

/** Harmless without the lock; a lost connection has given it back already. */
async function unlock(runner: QueryRunner): Promise<void> {
  await runner.query('SELECT pg_advisory_unlock_all()').catch(() => undefined);
  await runner.query('RESET statement_timeout').catch(() => undefined);
}

async function seedEnvironments(runner: QueryRunner): Promise<void> {
  const rows = environments.map((name) => ({ name, policy: defaultPolicy(name) }));
  await runner.query(
    `INSERT INTO hotswap.environment (name, policy)
     SELECT name, policy FROM jsonb_to_recordset($1) AS environment (name text, policy jsonb)
     ON CONFLICT (name) DO NOTHING`,
    [JSON.stringify(rows)],
  );
}
