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
