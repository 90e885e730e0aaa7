import { afterEach, expect, it } from '@jest/globals';
import { open } from 'node:fs/promises';
import { isReady } from '../../../tools/is-ready.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';
import { startPostgres, type RunningPostgres } from './start-postgres.js';

let postgres: RunningPostgres | null = null;
let controlPlane: ControlPlane | null = null;
afterEach(async () => {
  await controlPlane?.end();
  await postgres?.remove();
  postgres = controlPlane = null;
});

const databaseUrl = 'postgres://hotswap@127.0.0.1:1/hotswap';
const problemOf = async (url: string) => (await (await fetch(url)).json()) as { code: string };

it.each([
  ['without a database', { DATABASE_URL: '' }, 'DATABASE_URL'],
  ['reachable from elsewhere without a token', { DATABASE_URL: databaseUrl, HOST: '0.0.0.0' }, 'HOTSWAP_API_TOKEN'],
  [
    'without its trust file',
    { DATABASE_URL: databaseUrl, HOTSWAP_TRUST_FILE: '/nowhere/trust.json' },
    '/nowhere/trust.json',
  ],
])('does not start %s, says why, and exits with 2', async (_name, variables, named) => {
  const plane = await startControlPlane(variables);
  expect(await plane.exitCode).toBe(2);
  expect(plane.output()).toContain(named);
});

it('lives while its database has never been there, says so, and ends when told', async () => {
  controlPlane = await startControlPlane({ DATABASE_URL: databaseUrl });
  const { url } = controlPlane;
  await eventually(async () => (await fetch(`${url}/health/live`)).status === 200, controlPlane.output);
  expect((await fetch(`${url}/health/ready`)).status).toBe(503);
  expect((await problemOf(`${url}/api/v1/deployments`)).code).toBe('database-unavailable');
  expect(await controlPlane.end()).toBe(0);
});

it('lives, and ends with 0 when told to, where its log has no room', async () => {
  const full = await open('/dev/full', 'w');
  controlPlane = await startControlPlane({ DATABASE_URL: databaseUrl, LOG_LEVEL: 'debug' }, full.fd);
  await full.close();
  const { url, output } = controlPlane;
  await eventually(async () => (await fetch(`${url}/health/live`)).status === 200, output);
  expect(await controlPlane.end()).toBe(0);
  expect(output()).toBe('');
});

it('logs JSON lines that name the deployment and its trace, and no secret', async () => {
  const secrets = { api: 'api-token-4f1c9d27e6', join: 'join-token-8a2b6c31f0', database: 'pa55w0rd-in-the-url' };
  postgres = await startPostgres(secrets.database);
  controlPlane = await startControlPlane({
    DATABASE_URL: postgres.url,
    HOTSWAP_API_TOKEN: secrets.api,
    HOTSWAP_JOIN_TOKEN: secrets.join,
    LOG_LEVEL: 'debug',
  });
  const { url, output } = controlPlane;
  await eventually(() => isReady(url), output);
  const authorization = `Bearer ${secrets.api}`;
  await publish(url, await moduleArtifact('payment-processor', '1.0.0'), undefined, { authorization });
  const created = await fetch(`${url}/api/v1/deployments`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({
      moduleName: 'payment-processor',
      version: '1.0.0',
      targetEnvironment: 'Development',
      requesterEmail: 'user@example.com',
    }),
  });
  const { id, traceId } = (await created.json()) as { id: string; traceId: string };
  await fetch(`${url}/api/v1/deployments/${id}`, { headers: { authorization: `${authorization}-wrong` } });
  await eventually(() => Promise.resolve(output().includes('"holding"')), output);
  await postgres.stop();
  await eventually(async () => !(await isReady(url)), output);
  await postgres.start();
  await eventually(() => isReady(url), output);
  await controlPlane.end();
  const lines = output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const line of lines)
    expect(line).toMatchObject({
      level: expect.any(String),
      time: expect.stringMatching(/Z$/),
      msg: expect.any(String),
    });
  expect(lines).toContainEqual(expect.objectContaining({ deploymentId: id, traceId, event: 'holding' }));
  expect(lines).toContainEqual(expect.objectContaining({ deploymentId: id, method: 'POST', status: 202 }));
  expect(lines).toContainEqual(expect.objectContaining({ deploymentId: id, method: 'GET', status: 401 }));
  for (const secret of Object.values(secrets)) expect(output()).not.toContain(secret);
}, 120_000);

it('becomes ready with its database, stops being ready without it, comes back, and ends with 0', async () => {
  postgres = await startPostgres();
  controlPlane = await startControlPlane({ DATABASE_URL: postgres.url });
  const { url, output } = controlPlane;
  await eventually(() => isReady(url), output);
  await postgres.stop();
  await eventually(async () => !(await isReady(url)), output);
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
  const away = await fetch(`${url}/api/v1/deployments`);
  expect([away.status, await away.json()]).toEqual([503, expect.objectContaining({ code: 'database-unavailable' })]);
  await postgres.start();
  await eventually(() => isReady(url), output);
  expect(await controlPlane.end()).toBe(0);
  expect(output()).toContain('HotSwap API at');
}, 120_000);
