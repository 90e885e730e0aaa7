import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { DataDirectory } from '../src/data-directory.js';
import { chooseFreePorts } from '../src/ports.js';
import { EmbeddedPostgres } from '../src/postgres/embedded-postgres.js';
import { planPostgres } from '../src/process-plans.js';
import { SupervisedProcess } from '../src/supervisor/supervised-process.js';
import { compose, instructionsOf, repository } from './container-files.js';
import { waitFor } from './wait-for.js';

const imageFolder = '/var/lib/hotswap';
/** An address of this machine that is not loopback: what containers have of each other. */
const address = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

let folder: string;
let port: number;
let database: SupervisedProcess;
let databaseUrl: string;
const children: ChildProcess[] = [];
let output = '';

/** A service of the compose file as a process: its entry, arguments and environment, with this test's folder and port in the place of its own. */
function run(name: string, changes: Record<string, string> = {}): ChildProcess {
  const { build, command = [], environment = {} } = compose.services[name]!;
  const instructions = instructionsOf(build?.target ?? '');
  const start = instructions.findLast((line) => /^(CMD|ENTRYPOINT) /.test(line))!;
  const words = (JSON.parse(start.slice(start.indexOf('['))) as string[]).slice(1);
  const flags = words.filter((word) => word.startsWith('--'));
  const [entry = ''] = words.filter((word) => !flags.includes(word));
  const fromImage = instructions
    .filter((line) => line.startsWith('ENV '))
    .flatMap((line) => line.slice('ENV '.length).trim().split(/\s+/))
    .map((pair) => pair.split('=', 2) as [string, string]);
  const given = Object.entries({ ...Object.fromEntries(fromImage), ...environment }).map(([variable, value]) => [
    variable,
    here(value),
  ]);
  const child = spawn(process.execPath, [...flags, join(repository, entry), ...command.map(here)], {
    env: { PATH: process.env['PATH'], ...Object.fromEntries(given), ...changes },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  children.push(child);
  return child;
}

/** `value` with what its caller's environment, which sets nothing, leaves of it. */
function here(value: string): string {
  return value
    .replaceAll(/\$\{\w+:-(.*?)\}/g, '$1')
    .replaceAll(imageFolder, folder)
    .replace('localhost:5000', `localhost:${port}`)
    .replace('orchestrator-api:5000', `${address}:${port}`);
}

async function codeOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as T;
}

/** A write to the orchestrator's own name; answers the status. */
function writeAsContainer(path: string, host = 'orchestrator-api:5000'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers: { host, 'content-type': 'application/json' } };
    const call = request(`http://${address}:${port}${path}`, options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    call.on('error', reject).end('{}');
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hotswap-compose-'));
  chmodSync(folder, 0o755);
  for (const path of instructionsOf('runtime')
    .join(' ')
    .matchAll(/\/var\/lib\/hotswap\/\w+/g))
    mkdirSync(here(path[0]), { recursive: true });
  const data = new DataDirectory(join(folder, 'launcher'));
  data.create();
  const postgres = await EmbeddedPostgres.prepare(data.postgres);
  const [databasePort = 0, apiPort = 0] = await chooseFreePorts('127.0.0.1', 2, new Set());
  port = apiPort;
  database = new SupervisedProcess(planPostgres(postgres, databasePort, data), pino({ level: 'silent' }));
  database.start();
  await postgres.waitUntilReady(databasePort, new AbortController().signal);
  databaseUrl = postgres.url(databasePort);
}, 120_000);

afterAll(async () => {
  for (const child of children.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await database?.end();
  rmSync(folder, { recursive: true });
}, 60_000);

(address === undefined ? describe.skip : describe)('what docker-compose.yml starts, without containers', () => {
  it('makes the trust file, the key and the join token, once, and lets their owner alone read the secrets', async () => {
    expect(await codeOf(run('trust'))).toBe(0);
    const token = here('/var/lib/hotswap/join/token');
    const before = statSync(token);
    expect(before.mode & 0o777).toBe(0o600);
    expect(await codeOf(run('trust'))).toBe(0);
    expect(statSync(token).ino).toBe(before.ino);
  }, 30_000);

  it('lets a node join from another address by the token, and nobody without it', async () => {
    run('orchestrator-api', { DATABASE_URL: databaseUrl, PORT: String(port) });
    await waitFor(
      `the orchestrator: ${output}`,
      async () =>
        await fetch(`http://127.0.0.1:${port}/health/ready`).then(
          ({ ok }) => ok,
          () => false,
        ),
    );
    expect(await writeAsContainer('/internal/v1/nodes')).toBe(400);
    const joining = {
      nodeId: 'stranger',
      environment: 'Development',
      bootId: 'boot',
      pid: 1,
      hostname: 'h',
      address: 'http://h',
      kernelVersion: '1.0.0',
    };
    const stranger = await fetch(`http://${address}:${port}/internal/v1/nodes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(joining),
    });
    expect(stranger.status).toBe(401);
    run('kernel-node-development', { PORT: '0' });
    await waitFor('the node to be healthy', async () => {
      const { nodeCounts } = await get<{ nodeCounts: { healthy: number } }>('/api/v1/clusters/Development');
      return nodeCounts.healthy === 1;
    });
  }, 90_000);

  it('publishes and deploys the examples from the network of the orchestrator, as which alone the API takes writes', async () => {
    expect(compose.services['examples']).toMatchObject({ network_mode: 'service:orchestrator-api' });
    expect(await writeAsContainer('/api/v1/deployments')).toBe(403);
    const code = await codeOf(run('examples'));
    expect([code, code === 0 ? '' : output]).toEqual([0, '']);
    const { items } = await get<{ items: { name: string }[] }>('/api/v1/modules');
    expect(items.map(({ name }) => name)).toEqual(expect.arrayContaining(['payment-processor', 'price-list']));
    await waitFor('a deployment', async () => {
      const deployments = await get<{ items: unknown[] }>('/api/v1/deployments');
      return deployments.items.length === 2;
    });
  }, 120_000);
});
