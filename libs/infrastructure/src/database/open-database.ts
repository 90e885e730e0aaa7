import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { databaseOptions } from './database-options.js';
import { migrate } from './migrate.js';
import { errorCode } from './postgres-error.js';

const logger = new Logger('Database');
const retryMilliseconds = 1_000;
const logEveryMilliseconds = 10_000;

/** What Node and Postgres say while a server is away, starting, stopping or full; all else would not mend itself. */
const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  '08000',
  '08001',
  '08003',
  '08006',
  '53300',
  '57P01',
  '57P02',
  '57P03',
]);

/** A connected pool on a migrated database. Waits for a server that is away; throws where waiting would not help. */
export async function openDatabase(databaseUrl: string): Promise<DataSource> {
  let loggedAt = -Infinity;
  for (;;) {
    try {
      await migrate(databaseUrl);
      return await new DataSource(databaseOptions(databaseUrl)).initialize();
    } catch (error) {
      if (!isAway(error)) throw cannotOpen(error);
      if (Date.now() - loggedAt >= logEveryMilliseconds) {
        logger.warn(
          `Postgres is away (${messageOf(error)}); trying again every second. DATABASE_URL says where it is.`,
        );
        loggedAt = Date.now();
      }
      await delay(retryMilliseconds);
    }
  }
}

/** What pg and TypeORM say, without a code, of a connection that ended under them. */
const awayMessage = /timeout|connection terminated|not queryable|query runner already released/i;

function isAway(error: unknown): boolean {
  const code = errorCode(error);
  return (code !== null && awayCodes.has(code)) || awayMessage.test(messageOf(error));
}

function cannotOpen(error: unknown): Error {
  return new Error(
    `Can't use the database that DATABASE_URL names: ${messageOf(error)}. Check its user, password and database name; the user needs to create the schemas "hotswap" and "ops".`,
    { cause: error },
  );
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
