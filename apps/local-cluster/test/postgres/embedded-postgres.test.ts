import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { DataDirectory } from '../../src/data-directory.js';
import { installedPostgres } from '../../src/postgres/binaries.js';
import { EmbeddedPostgres } from '../../src/postgres/embedded-postgres.js';
import { chooseFreePorts } from '../../src/ports.js';
import { planPostgres } from '../../src/process-plans.js';
import { formatPidFile } from '../../src/supervisor/pid-file.js';
import { identifyProcess, isRunning, type ProcessIdentity } from '../../src/supervisor/process-identity.js';
import { SupervisedProcess } from '../../src/supervisor/supervised-process.js';
import { waitFor } from '../wait-for.js';

const asRoot = process.getuid?.() === 0;
const never = new AbortController().signal;
const log = pino({ level: 'silent' });

describe('EmbeddedPostgres', () => {
  let top: string;
  let data: DataDirectory;
  let servers: SupervisedProcess[];
  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'hotswap-postgres-'));
    chmodSync(top, 0o755);
    data = new DataDirectory(join(top, 'data'));
    data.create();
    servers = [];
  });
  afterEach(async () => {
    await Promise.all(servers.map((server) => server.end()));
    rmSync(top, { recursive: true });
  });

  async function start(postgres: EmbeddedPostgres): Promise<{ server: SupervisedProcess; port: number }> {
    const [port = 0] = await chooseFreePorts('127.0.0.1', 1, new Set());
    const server = new SupervisedProcess(planPostgres(postgres, port, data), log);
    servers.push(server);
    server.start();
    await postgres.waitUntilReady(port, never);
    return { server, port };
  }
  async function query(connectionString: string, text: string): Promise<unknown[][]> {
    const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
    } finally {
      await client.end();
    }
  }
  function identityOf(server: SupervisedProcess): ProcessIdentity {
    const identity = identifyProcess(server.pid ?? 0);
    if (identity === null) throw new Error('The server does not run');
    return identity;
  }

  it('serves on loopback alone, to those who know the password, and resumes after a clean end', async () => {
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    expect(postgres.fresh).toBe(true);
    const { server, port } = await start(postgres);
    expect(await query(postgres.url(port), 'SHOW listen_addresses')).toEqual([['127.0.0.1']]);
    expect(await query(postgres.url(port), 'SHOW unix_socket_directories')).toEqual([['']]);
    const methods = 'SELECT DISTINCT auth_method FROM pg_hba_file_rules';
    expect(await query(postgres.url(port), methods)).toEqual([['scram-sha-256']]);
    await expect(query(`postgres://hotswap:wrong@127.0.0.1:${port}/hotswap`, 'SELECT 1')).rejects.toThrow(
      'password authentication failed',
    );
    expect(statSync(join(data.postgres, 'password')).mode & 0o777).toBe(0o600);
    await query(postgres.url(port), 'CREATE TABLE kept AS SELECT 42 AS answer');
    await server.end();
    expect(existsSync(join(postgres.dataFolder, 'postmaster.pid'))).toBe(false);

    const again = await EmbeddedPostgres.prepare(data.postgres);
    expect(again.fresh).toBe(false);
    const { port: newPort } = await start(again);
    expect(await query(again.url(newPort), 'SELECT answer FROM kept')).toEqual([[42]]);
  });

  it('comes back by itself after kill -9, with what was committed', async () => {
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    const { server, port } = await start(postgres);
    await query(postgres.url(port), 'CREATE TABLE kept AS SELECT 42 AS answer');
    const killed = identityOf(server);
    process.kill(killed.pid, 'SIGKILL');
    await waitFor('the end of the killed server', () => !isRunning(killed));
    await postgres.waitUntilReady(port, never);
    expect(server.pid).not.toBe(killed.pid);
    expect(readFileSync(data.pidFile('postgres'), 'utf8').split('\n')[0]).toBe(String(server.pid));
    expect(await query(postgres.url(port), 'SELECT answer FROM kept')).toEqual([[42]]);
  });

  it('ends a server that an earlier launcher left, even without a pid file of its own', async () => {
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    const {
      command,
      arguments: words,
      workingDirectory,
    } = postgres.command((await chooseFreePorts('127.0.0.1', 1, new Set()))[0] ?? 0);
    const left = spawn(command, words, { cwd: workingDirectory, ...postgres.user, stdio: 'ignore', detached: true });
    const identity = identifyProcess(left.pid ?? 0);
    const file = join(postgres.dataFolder, 'postmaster.pid');
    await waitFor('postmaster.pid', () => existsSync(file) && readFileSync(file, 'utf8').startsWith(`${left.pid}\n`));
    const again = await EmbeddedPostgres.prepare(data.postgres);
    expect(identity && isRunning(identity)).toBe(false);
    await start(again);
  });

  it('does not mind a stale postmaster.pid whose pid is another process’ now', async () => {
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      ...postgres.user,
      cwd: '/',
      stdio: 'ignore',
    });
    try {
      const identity = await waitFor('the stranger', () => identifyProcess(stranger.pid ?? 0));
      const file = join(postgres.dataFolder, 'postmaster.pid');
      writeFileSync(file, `${stranger.pid}\n${postgres.dataFolder}\n1\n5432\n\n127.0.0.1\n 0 0\nready   \n`);
      await start(await EmbeddedPostgres.prepare(data.postgres));
      expect(isRunning(identity)).toBe(true);
      expect(formatPidFile(identity)).toContain(String(stranger.pid));
    } finally {
      stranger.kill('SIGKILL');
    }
  });

  it('begins anew where an earlier start was cut off while the database was made', async () => {
    mkdirSync(join(data.postgres, 'server', 'data.new', 'base'), { recursive: true });
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    expect(postgres.fresh).toBe(true);
    expect(readdirSync(join(data.postgres, 'server'))).toEqual(['data']);
  });

  it('says which database another Postgres made', async () => {
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    writeFileSync(join(postgres.dataFolder, 'PG_VERSION'), '17\n');
    await expect(EmbeddedPostgres.prepare(data.postgres)).rejects.toThrow(
      /made by Postgres 17, and this is Postgres 18/,
    );
  });

  it('runs from an installation whose links and rights were never made', async () => {
    const installed = join(top, 'native');
    cpSync(installedPostgres(), installed, { recursive: true, verbatimSymlinks: true });
    const list = JSON.parse(readFileSync(join(installed, 'pg-symlinks.json'), 'utf8')) as { target: string }[];
    expect(list.length).toBeGreaterThan(0);
    for (const { target } of list) rmSync(join(top, target), { force: true });
    for (const name of ['postgres', 'initdb']) chmodSync(join(installed, 'bin', name), 0o644);
    const postgres = await EmbeddedPostgres.prepare(data.postgres, { installed });
    expect(postgres.command(1).command).toBe(join(installed, 'bin', 'postgres'));
  });

  (asRoot ? it : it.skip)('works as root below a folder that only root can enter', async () => {
    const outside = join(top, 'outside');
    const home = join(top, 'home');
    mkdirSync(home, { mode: 0o700 });
    const installed = join(home, 'native');
    cpSync(installedPostgres(), installed, { recursive: true, verbatimSymlinks: true });
    data = new DataDirectory(join(home, 'data'));
    data.create();
    const options = { installed, outsideRoots: [outside] };

    const postgres = await EmbeddedPostgres.prepare(data.postgres, options);
    expect(postgres.place).toMatchObject({ elsewhere: true });
    expect(postgres.dataFolder.startsWith(outside)).toBe(true);
    expect(postgres.command(1).command.startsWith(outside)).toBe(true);
    expect(readFileSync(join(data.postgres, 'location'), 'utf8').trim()).toBe(postgres.place.folder);
    expect(statSync(postgres.place.folder).mode & 0o777).toBe(0o700);
    const { server, port } = await start(postgres);
    await query(postgres.url(port), 'CREATE TABLE kept AS SELECT 42 AS answer');
    process.kill(server.pid ?? 0, 'SIGKILL');
    await server.end();

    const again = await EmbeddedPostgres.prepare(data.postgres, options);
    expect(again.fresh).toBe(false);
    const { port: newPort } = await start(again);
    expect(await query(again.url(newPort), 'SELECT answer FROM kept')).toEqual([[42]]);

    cpSync(data.path, join(home, 'copy'), { recursive: true });
    const copied = new DataDirectory(join(home, 'copy'));
    await expect(EmbeddedPostgres.prepare(copied.postgres, options)).rejects.toThrow(
      /was moved or copied; its database is still/,
    );
    unlinkSync(join(copied.postgres, 'location'));
    expect((await EmbeddedPostgres.prepare(copied.postgres, options)).fresh).toBe(true);
  });

  (asRoot ? it : it.skip)('refuses a place outside that others can write', async () => {
    const outside = join(top, 'outside');
    mkdirSync(outside);
    chmodSync(outside, 0o777);
    chmodSync(data.path, 0o700);
    await expect(EmbeddedPostgres.prepare(data.postgres, { outsideRoots: [outside] })).rejects.toThrow(
      /can enter neither the data directory nor/,
    );
  });
});
