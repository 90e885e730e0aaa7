import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';

export type DatabaseState =
  { isReachable: true; migrationsPending: string[] } | { isReachable: false; because: string };

/** Whether the database answers, and whether its schema is the one that this build knows. */
@Injectable()
export class DatabaseHealth {
  constructor(private readonly dataSource: DataSource) {}

  /** Never throws; an answer that takes longer than the time-out is none. */
  async check(timeoutMilliseconds = 2_000): Promise<DatabaseState> {
    const timeout = new AbortController();
    try {
      return await Promise.race([this.readState(), silence(timeoutMilliseconds, timeout.signal)]);
    } catch (error) {
      return { isReachable: false, because: error instanceof Error ? error.message : String(error) };
    } finally {
      timeout.abort();
    }
  }

  private async readState(): Promise<DatabaseState> {
    const rows = await this.dataSource.query<{ name: string }[]>('SELECT name FROM hotswap.migration');
    const executed = new Set(rows.map(({ name }) => name));
    const known = this.dataSource.migrations.map((migration) => migration.name ?? migration.constructor.name);
    return { isReachable: true, migrationsPending: known.filter((name) => !executed.has(name)) };
  }
}

async function silence(timeoutMilliseconds: number, signal: AbortSignal): Promise<DatabaseState> {
  await delay(timeoutMilliseconds, undefined, { signal }).catch(() => undefined);
  return { isReachable: false, because: `Postgres did not answer within ${timeoutMilliseconds} ms` };
}
