import { DatabaseHealth } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';

type DatabaseState = Awaited<ReturnType<DatabaseHealth['check']>>;

const timeoutMilliseconds = 2_000;

/** Whether the database answers, and whether its schema is the one that this build knows. */
@Injectable()
export class PostgresDatabaseHealth implements DatabaseHealth {
  constructor(private readonly dataSource: DataSource) {}

  /** An answer that takes longer than the time-out is none. */
  async check(): Promise<DatabaseState> {
    const timeout = new AbortController();
    try {
      return await Promise.race([this.readState(), silence(timeout.signal)]);
    } catch (error) {
      return away(error instanceof Error ? error.message : String(error));
    } finally {
      timeout.abort();
    }
  }

  private async readState(): Promise<DatabaseState> {
    const rows = await this.dataSource.query<{ name: string }[]>('SELECT name FROM hotswap.migration');
    const executed = new Set(rows.map(({ name }) => name));
    const known = this.dataSource.migrations.map((migration) => migration.name ?? migration.constructor.name);
    const pending = known.filter((name) => !executed.has(name));
    if (pending.length === 0) return { reachable: true, migrationsPending: false };
    return { reachable: true, migrationsPending: true, message: `Migrations pending: ${pending.join(', ')}` };
  }
}

async function silence(signal: AbortSignal): Promise<DatabaseState> {
  await delay(timeoutMilliseconds, undefined, { signal }).catch(() => undefined);
  return away(`Postgres did not answer within ${timeoutMilliseconds} ms`);
}

function away(message: string): DatabaseState {
  return { reachable: false, migrationsPending: false, message };
}
