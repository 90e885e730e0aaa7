import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { LocalCluster } from './local-cluster.js';

/** Of the cluster's embedded Postgres; its port may change with each start. */
export function databaseUrl(cluster: LocalCluster): string {
  const command = execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(cluster.pid('postgres'))], {
    encoding: 'utf8',
  });
  const port = / -p (\d+) /.exec(command)?.[1];
  if (port === undefined) throw new Error(`The command of Postgres names no port: ${command}`);
  const password = readFileSync(join(cluster.dataDirectory, 'postgres', 'password'), 'utf8').trim();
  return `postgres://hotswap:${password}@127.0.0.1:${port}/hotswap`;
}

/** Statements behind the orchestrator's back, in one transaction. Answers the rows of the last one. */
export async function inDatabase<Row extends object>(
  cluster: LocalCluster,
  ...statements: (string | [sql: string, parameters: unknown[]])[]
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl(cluster), query_timeout: 20_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('BEGIN');
    let rows: Row[] = [];
    for (const statement of statements) {
      const [sql, parameters] = typeof statement === 'string' ? [statement, []] : statement;
      rows = (await client.query<Row>(sql, parameters)).rows;
    }
    await client.query('COMMIT');
    return rows;
  } finally {
    await client.end();
  }
}

/** A copy of the whole database beside it, as a backup has it. The orchestrator must be away: sessions of others are ended. */
export async function takeCopy(cluster: LocalCluster, name: string): Promise<void> {
  await asAdministrator(cluster, endSessions, `CREATE DATABASE ${name} TEMPLATE hotswap`);
}

/** The copy takes the place of the database, under whoever uses it. */
export async function replaceByCopy(cluster: LocalCluster, name: string): Promise<void> {
  await asAdministrator(cluster, 'DROP DATABASE hotswap WITH (FORCE)', `ALTER DATABASE ${name} RENAME TO hotswap`);
}

const endSessions = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'hotswap'`;

async function asAdministrator(cluster: LocalCluster, ...statements: string[]): Promise<void> {
  const url = new URL(databaseUrl(cluster));
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href, query_timeout: 60_000 });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
