import { defaultPolicy, environments } from '@hotswap/domain';
import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource, type QueryRunner } from 'typeorm';
import { migrationOptions } from './database-options.js';

const logger = new Logger('Database');
const retryMilliseconds = 200;
/** Any number that no other program uses on this database: "hotswap" as bytes. */
const migrationLock = '29395943522001264';

/** Brings the schema up to date, one replica at a time, and writes the environments that are not there yet. */
export async function migrate(databaseUrl: string): Promise<void> {
  const dataSource = await new DataSource(migrationOptions(databaseUrl)).initialize();
  try {
    const runner = dataSource.createQueryRunner();
    await lock(runner);
    await runner.query('CREATE SCHEMA IF NOT EXISTS hotswap');
    for (const { name } of await dataSource.runMigrations({ transaction: 'each' })) logger.log(`Migrated: ${name}`);
    await seedEnvironments(runner);
    await runner.release();
  } finally {
    // Closes the session that holds the lock, and with it the lock.
    await dataSource.destroy();
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

async function seedEnvironments(runner: QueryRunner): Promise<void> {
  const rows = environments.map((name) => ({ name, policy: defaultPolicy(name) }));
  await runner.query(
    `INSERT INTO hotswap.environment (name, policy)
     SELECT name, policy FROM jsonb_to_recordset($1) AS environment (name text, policy jsonb)
     ON CONFLICT (name) DO NOTHING`,
    [JSON.stringify(rows)],
  );
}
