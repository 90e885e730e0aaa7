import { afterEach, describe, expect, it } from '@jest/globals';
import { protocolPaths } from '@hotswap/agent-protocol';
import { callApi, writeAs } from './call-api.js';
import { startApi, type RunningApi } from './start-api.js';

let api: RunningApi;
afterEach(() => api.app.close());

const digest = `sha256:${'0'.repeat(64)}`;

describe('with a token set', () => {
  const apiToken = 'correct-horse-battery';

  it.each(['/health/live', '/', '/openapi.json', '/swagger-ui/swagger-ui.css', '/swagger-ui/swagger-ui-init.js'])(
    '%s is open',
    async (path) => {
      api = await startApi({ apiToken });
      expect((await callApi(api.url, 'GET', path)).status).toBe(200);
    },
  );

  it('everything else needs it', async () => {
    api = await startApi({ apiToken });
    const calls: [string, string][] = [
      ['GET', '/api/v1/deployments'],
      ['POST', '/api/v1/deployments'],
      ['GET', `/api/v1/artifacts/${digest}`],
      ['GET', '/metrics'],
      ['GET', '/api/v1/nothing'],
      ['GET', '//health/live'],
      ['GET', '/healthy'],
    ];
    for (const [method, path] of calls) {
      const { status, problem, headers } = await callApi(api.url, method, path);
      expect([path, status, problem.code]).toEqual([path, 401, 'unauthenticated']);
      expect(headers.get('www-authenticate')).toBe('Bearer realm="hotswap"');
    }
  });

  it.each([
    'Bearer wrong',
    'Bearer ',
    'Basic correct-horse-battery',
    'correct-horse-battery',
    'Bearer correct-horse-batter',
  ])('%j is not it', async (authorization) => {
    api = await startApi({ apiToken });
    expect((await callApi(api.url, 'GET', '/api/v1/modules', undefined, { authorization })).status).toBe(401);
  });

  it('with it the call passes', async () => {
    api = await startApi({ apiToken });
    const authorization = `bearer ${apiToken}`;
    expect((await callApi(api.url, 'GET', '/api/v1/modules', undefined, { authorization })).status).toBe(503);
    expect((await callApi(api.url, 'GET', '/metrics', undefined, { authorization })).status).toBe(200);
  });

  it('nodes do not need it, but a secret of their own', async () => {
    api = await startApi({ apiToken });
    const { problem, headers } = await callApi(api.url, 'GET', `/internal/v1/artifacts/${digest}`);
    expect(problem.code).toBe('unauthenticated');
    expect(headers.get('www-authenticate')).toBe('Bearer realm="hotswap-nodes"');
  });
});

describe('bound beyond loopback', () => {
  it('an open API still asks writes for the name of this machine', async () => {
    api = await startApi({ host: '0.0.0.0' });
    expect(await writeAs(api.url, { host: 'rebound.example' })).toEqual({ status: 403, code: 'foreign-origin' });
    expect(await writeAs(api.url, { host: 'localhost:5000' })).toEqual({ status: 400, code: 'validation-failed' });
  });

  it('nodes may name it as they like where they bring a join token, not otherwise', async () => {
    const apiToken = 'correct-horse-battery';
    const named = { host: 'orchestrator-api:5000' };
    api = await startApi({ host: '0.0.0.0', apiToken });
    expect(await writeAs(api.url, named, protocolPaths.join)).toEqual({ status: 403, code: 'foreign-origin' });
    await api.app.close();
    api = await startApi({ host: '0.0.0.0', apiToken, joinToken: 'join-token-of-this-test' });
    expect(await writeAs(api.url, named, protocolPaths.join)).toEqual({ status: 400, code: 'validation-failed' });
  });

  it('one with a token may be called by any name, but not from a page of another origin', async () => {
    api = await startApi({ host: '0.0.0.0', apiToken: 'correct-horse-battery' });
    const headers = { host: 'hotswap.example', authorization: 'Bearer correct-horse-battery' };
    expect(await writeAs(api.url, headers)).toEqual({ status: 400, code: 'validation-failed' });
    const fromPage = { ...headers, origin: 'https://evil.example' };
    expect(await writeAs(api.url, fromPage)).toEqual({ status: 403, code: 'foreign-origin' });
  });
});

it('too many writes of one address are told when to come back; reads go on', async () => {
  api = await startApi({ writesPerMinuteMax: 3 });
  const statuses: number[] = [];
  for (const path of ['/api/v1/deployments', '/api/v1/modules', '/api/v1/deployments'])
    statuses.push((await callApi(api.url, 'POST', path, {})).status);
  expect(statuses).toEqual([400, 415, 400]);
  const { status, problem, headers } = await callApi(api.url, 'POST', '/api/v1/deployments', {});
  expect([status, problem.code]).toEqual([429, 'too-many-requests']);
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await callApi(api.url, 'GET', '/api/v1/clusters/moon')).status).toBe(404);
});
