import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callApi, writeAs } from './call-api.js';
import { startApi, type RunningApi } from './start-api.js';

const deployment = {
  moduleName: 'payment-processor',
  version: '2.1.0',
  targetEnvironment: 'Production',
  requesterEmail: 'user@example.com',
};

let api: RunningApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.app.close());

const call = (...request: Parameters<typeof callApi> extends [string, ...infer Rest] ? Rest : never) =>
  callApi(api.url, ...request);

describe('a deployment that is not valid', () => {
  it.each([
    ['no fields', {}, '/moduleName', '/version', '/targetEnvironment', '/requesterEmail'],
    ['a name with capitals', { ...deployment, moduleName: 'Payment' }, '/moduleName'],
    ['a name of 101 letters', { ...deployment, moduleName: 'a'.repeat(101) }, '/moduleName'],
    ['a range as version', { ...deployment, version: '^2.1.0' }, '/version'],
    ['a version with v', { ...deployment, version: 'v2.1.0' }, '/version'],
    ['a number as version', { ...deployment, version: 2 }, '/version'],
    ['an unknown environment', { ...deployment, targetEnvironment: 'Prod' }, '/targetEnvironment'],
    ['no e-mail address', { ...deployment, requesterEmail: 'user' }, '/requesterEmail'],
    ['too long a description', { ...deployment, description: 'x'.repeat(2001) }, '/description'],
    ['metadata that are no strings', { ...deployment, metadata: { a: 1 } }, '/metadata'],
    ['a list as metadata', { ...deployment, metadata: ['a'] }, '/metadata'],
    [
      '51 metadata',
      { ...deployment, metadata: Object.fromEntries(Array.from({ length: 51 }, (_, index) => [index, ''])) },
      '/metadata',
    ],
    ['a text for a flag', { ...deployment, requireApproval: 'true' }, '/requireApproval'],
    ['an unknown conflict rule', { ...deployment, onConflict: 'queue' }, '/onConflict'],
    ['an unknown field', { ...deployment, colour: 'blue' }, '/colour'],
    ['a NUL character', { ...deployment, description: 'a\0b' }, '/description'],
    ['a lone surrogate', { ...deployment, metadata: { a: '\ud800' } }, '/metadata/a'],
    ['a prototype key', `{"__proto__":{"admin":true},${JSON.stringify(deployment).slice(1)}`, '/__proto__'],
    ['a constructor key', { ...deployment, metadata: { constructor: 'x' } }, '/metadata/constructor'],
    ['a list', [deployment], ''],
    ['a text', '"deploy"', ''],
  ])('%s is refused, with a pointer', async (_name, body, ...pointers) => {
    const { status, problem } = await call('POST', '/api/v1/deployments', body);
    expect(status).toBe(400);
    expect(problem).toMatchObject({
      type: 'urn:hotswap:problem:validation-failed',
      code: 'validation-failed',
      status: 400,
      instance: '/api/v1/deployments',
    });
    expect(problem.errors?.map(({ pointer }) => pointer).sort()).toEqual(pointers.sort());
  });

  it('nested past reason is refused', async () => {
    const body = `{"metadata":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`;
    expect((await call('POST', '/api/v1/deployments', body)).problem).toMatchObject({ code: 'validation-failed' });
  });

  it.each(['{', '{"a":1e', 'nope', '{"a":"\u0001"}', ' '])('%j is no JSON', async (body) => {
    const { status, problem } = await call('POST', '/api/v1/deployments', body);
    expect([status, problem.code]).toEqual([400, 'malformed-json']);
  });

  it('bytes that are no UTF-8 are no JSON', async () => {
    const response = await fetch(`${api.url}/api/v1/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Uint8Array([0x22, 0xff, 0x22]),
    });
    expect(await response.json()).toMatchObject({ status: 400, code: 'malformed-json' });
  });

  it('no body at all names what is missing', async () => {
    expect((await call('POST', '/api/v1/deployments')).problem.errors).toContainEqual({
      pointer: '/version',
      message: 'must be an exact semantic version such as 2.1.0',
    });
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml'])(
    '%s is not taken',
    async (type) => {
      const { status, problem } = await call('POST', '/api/v1/deployments', 'a=1', { 'content-type': type });
      expect([status, problem.code]).toEqual([415, 'unsupported-media-type']);
    },
  );

  it('a body over 256 KiB is too large', async () => {
    const body = { ...deployment, description: 'x'.repeat(256 * 1024) };
    expect((await call('POST', '/api/v1/deployments', body)).problem).toMatchObject({ status: 413, code: 'too-large' });
  });

  it('an idempotency key with spaces is refused', async () => {
    const { problem } = await call('POST', '/api/v1/deployments', deployment, { 'idempotency-key': 'a b' });
    expect(problem.errors?.[0]?.pointer).toBe('Idempotency-Key');
  });
});

describe('addresses', () => {
  it.each([
    ['/api/v1/nothing', 'not-found'],
    ['/api/v2/deployments', 'not-found'],
    ['/api/v1/deployments/', 'not-found'],
    ['/api/v1/deployments/42', 'deployment-not-found'],
    ['/api/v1/deployments/%00', 'deployment-not-found'],
    ['/api/v1/deployments/42/events', 'deployment-not-found'],
    ['/api/v1/modules/Not_A_Name', 'module-not-found'],
    ['/api/v1/artifacts/sha256:12', 'artifact-not-found'],
    ['/api/v1/clusters/moon', 'environment-not-found'],
    ['/api/v1/clusters/moon/policy', 'environment-not-found'],
    ['/api/v1/clusters/moon/metrics', 'environment-not-found'],
    ['/api/v1/nodes/..%2f', 'node-not-found'],
  ])('%s is %s', async (path, code) => {
    const { status, problem, headers } = await call('GET', path);
    expect([status, problem.code]).toEqual([404, code]);
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  });

  it.each([
    ['DELETE', '/api/v1/deployments', 'GET, HEAD, POST'],
    ['PUT', '/api/v1/modules/payment-processor', 'GET, HEAD'],
    ['POST', '/health/live', 'GET, HEAD'],
    ['GET', '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000/rollback', 'POST'],
  ])('%s %s is not allowed', async (method, path, allow) => {
    const { status, problem, headers } = await call(method, path);
    expect([status, problem.code, headers.get('allow')]).toEqual([405, 'method-not-allowed', allow]);
  });

  it('one that can not be decoded is malformed', async () => {
    expect((await call('GET', '/api/v1/deployments/%zz')).problem).toMatchObject({ status: 400 });
  });

  it('one that is too long is refused', async () => {
    const { status, problem } = await call('GET', `/api/v1/modules/${'a'.repeat(5000)}`);
    expect([414, 404]).toContain(status);
    expect(problem.status).toBe(status);
  });
});

describe('queries', () => {
  it.each([
    ['/api/v1/deployments?limit=0', '?limit'],
    ['/api/v1/deployments?limit=201', '?limit'],
    ['/api/v1/deployments?limit=1.5', '?limit'],
    ['/api/v1/deployments?limit=', '?limit'],
    ['/api/v1/deployments?limit=1&limit=2', '?limit'],
    ['/api/v1/deployments?status=Nope', '?status'],
    ['/api/v1/deployments?environment=Nope', '?environment'],
    ['/api/v1/deployments?from=yesterday', '?from'],
    ['/api/v1/deployments?from=0000-01-01T00:00:00Z', '?from'],
    ['/api/v1/deployments?to=2026-02-30T25:00:00Z', '?to'],
    ['/api/v1/deployments?cursor=', '?cursor'],
    ['/api/v1/deployments?cursor=%00', '?cursor'],
    ['/api/v1/deployments?colour=blue', '?colour'],
    ['/api/v1/deployments?__proto__=1', '?__proto__'],
    ['/api/v1/deployments?dryRun=true', '?dryRun'],
    ['/api/v1/clusters?colour=blue', '?colour'],
    ['/api/v1/clusters/qa/metrics?stepSeconds=0', '?stepSeconds'],
    ['/api/v1/clusters/qa/metrics?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', '?from'],
    ['/api/v1/clusters/qa/metrics?from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z&stepSeconds=1', '?stepSeconds'],
    ['/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000?x=1', '?x'],
  ])('%s is refused at %s', async (path, pointer) => {
    const { status, problem } = await call('GET', path);
    expect([status, problem.code, problem.errors?.[0]?.pointer]).toEqual([400, 'validation-failed', pointer]);
  });

  it('a write refuses them too', async () => {
    expect((await call('POST', '/api/v1/deployments?colour=blue', deployment)).problem.errors).toEqual([
      { pointer: '?colour', message: 'is not known' },
    ]);
    expect((await call('POST', '/api/v1/deployments?dryRun=perhaps', deployment)).problem.errors).toEqual([
      { pointer: '?dryRun', message: 'must be true or false' },
    ]);
  });
});

describe('while the database is away', () => {
  it.each([
    ['GET', '/api/v1/deployments'],
    ['GET', '/api/v1/deployments?status=rUnNiNg&environment=qa&from=2026-01-01T00:00:00%2B02:00'],
    ['GET', '/api/v1/modules'],
    ['GET', '/api/v1/clusters/pRODUCTION'],
    ['POST', '/api/v1/deployments'],
    ['POST', '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000/retry'],
    ['POST', '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000/cancel'],
  ])('%s %s answers 503 and when to come back', async (method, path) => {
    const body =
      path.endsWith('deployments') && method === 'POST' ? { ...deployment, targetEnvironment: 'qa' } : undefined;
    const { status, problem, headers } = await call(method, path, body);
    expect([status, problem.code, headers.get('retry-after')]).toEqual([503, 'database-unavailable', '1']);
  });

  // As pg says it of a connection that ends while a request uses it, and of a query without an answer.
  it.each(['Connection terminated', 'Client was closed and is not queryable', 'Query read timeout'])(
    'so does a request that failed by "%s", although the database is back when it is looked at',
    async (message) => {
      const { app, url } = await startApi({}, { error: new Error(message), reachable: true });
      try {
        const { status, problem } = await callApi(url, 'GET', '/api/v1/modules');
        expect([status, problem.code]).toEqual([503, 'database-unavailable']);
      } finally {
        await app.close();
      }
    },
  );

  it('the process lives, but is not ready', async () => {
    expect((await call('GET', '/health/live')).status).toBe(200);
    for (const path of ['/health/ready', '/health']) {
      const { status, text } = await call('GET', path);
      expect([status, JSON.parse(text).error.database.status]).toEqual([503, 'down']);
    }
  });

  it('it still tells Prometheus of itself', async () => {
    const { status, text } = await call('GET', '/metrics');
    expect(status).toBe(200);
    expect(text).toContain('process_resident_memory_bytes');
    expect(text).toMatch(
      /hotswap_http_request_duration_seconds_count\{method="GET",route="\/health\/live",status="200"\}/,
    );
  });
});

describe('a policy', () => {
  const policy = {
    strategy: 'canary',
    canary: { scout: null, steps: [{ percent: 100, minimumSeconds: 0, maximumSeconds: 1 }] },
    rolling: { maxUnavailable: '25%', maxSurge: '0', minimumReadySeconds: 5 },
    blueGreen: { autoPromote: true, bakeSeconds: 30 },
    guards: {
      requestsMin: 50,
      failuresMin: 3,
      failedShareRatioMax: 2,
      failedSharePointsMax: 0.5,
      failedSharePercentMax: 5,
      failedShareTimesBeforeMax: 3,
      crashesMax: 1,
    },
    warmSeconds: 900,
    lostNodesMax: 1,
    progressDeadlineSeconds: 600,
  };
  const put = (body: unknown) => call('PUT', '/api/v1/clusters/qa/policy', body, { 'if-match': '"1"' });
  const freeze = {
    name: 'weekend',
    timeZone: 'Europe/Berlin',
    windows: [{ from: 'Friday 16:00', to: 'Monday 08:00' }],
    runningRollouts: 'Finish-Step',
  };
  const frozen = (...changes: object[]) => ({ ...policy, freeze: changes.map((change) => ({ ...freeze, ...change })) });
  const step = { percent: 100, minimumSeconds: 0, maximumSeconds: 1 };

  it('that is right gets as far as the database', async () => {
    expect((await put(policy)).problem.code).toBe('database-unavailable');
    expect((await put({ ...frozen({}), approval: { required: 2 } })).problem.code).toBe('database-unavailable');
  });

  it('needs If-Match', async () => {
    const { problem } = await call('PUT', '/api/v1/clusters/qa/policy', policy);
    expect([problem.status, problem.code]).toEqual([428, 'precondition-required']);
  });

  it.each<[string, unknown]>([
    ['/strategy', { ...policy, strategy: 'Hope' }],
    ['/canary', { ...policy, canary: undefined }],
    ['/canary', { ...policy, canary: 7 }],
    ['/guards', { ...policy, guards: [] }],
    ['/canary/scout', { ...policy, canary: { scout: [], steps: [step] } }],
    ['/canary/steps', { ...policy, canary: { scout: null, steps: [[]] } }],
    ['/canary/steps', { ...policy, canary: { scout: null, steps: [] } }],
    ['/canary/steps', { ...policy, canary: { scout: null, steps: [{ ...step, percent: 50 }] } }],
    [
      '/canary/steps',
      { ...policy, canary: { scout: null, steps: [{ ...step, percent: 60 }, { ...step, percent: 50 }, step] } },
    ],
    [
      '/canary/steps/0/minimumSeconds',
      { ...policy, canary: { scout: null, steps: [{ ...step, minimumSeconds: -1 }] } },
    ],
    ['/canary/steps/0/maximumSeconds', { ...policy, canary: { scout: null, steps: [{ ...step, minimumSeconds: 2 }] } }],
    ['/canary/steps/0/colour', { ...policy, canary: { scout: null, steps: [{ ...step, colour: 1 }] } }],
    ['/canary/scout/percent', { ...policy, canary: { scout: { percent: 0, seconds: 1 }, steps: [step] } }],
    ['/rolling/maxUnavailable', { ...policy, rolling: { ...policy.rolling, maxUnavailable: '101%' } }],
    ['/blueGreen/autoPromote', { ...policy, blueGreen: { autoPromote: 1, bakeSeconds: 1 } }],
    ['/guards/requestsMin', { ...policy, guards: { ...policy.guards, requestsMin: 0.5 } }],
    ['/warmSeconds', { ...policy, warmSeconds: null }],
    ['/lostNodesMax', { ...policy, lostNodesMax: '1' }],
    ['/progressDeadlineSeconds', { ...policy, progressDeadlineSeconds: 0 }],
    ['/approval/required', { ...policy, approval: { required: 0 } }],
    ['/approval/always', { ...policy, approval: { always: 'yes' } }],
    ['/freeze', frozen({}, {})],
    ['/freeze/0/name', frozen({ name: 'The weekend' })],
    ['/freeze/0/timeZone', frozen({ timeZone: 'Mars/Olympus' })],
    ['/freeze/0/timeZone', frozen({ timeZone: '+01:00' })],
    ['/freeze/0/runningRollouts', frozen({ runningRollouts: 'hope' })],
    ['/freeze/0/windows', frozen({ windows: [] })],
    ['/freeze/0/windows/0/from', frozen({ windows: [{ from: 'Fri 16:00', to: 'Monday 08:00' }] })],
    ['/freeze/0/windows/0/to', frozen({ windows: [{ from: 'Friday 16:00' }] })],
    ['/freeze/0/windows/0/to', frozen({ windows: [{ from: 'Friday 16:00', to: '2026-12-20T00:00' }] })],
    ['/freeze/0/windows/0/to', frozen({ windows: [{ from: '2026-12-20T00:00', to: '2026-12-19T00:00' }] })],
  ])('with a wrong %s is refused', async (pointer, body) => {
    const { status, problem } = await put(body);
    expect([status, problem.errors?.map((error) => error.pointer)]).toEqual([400, [pointer]]);
  });
});

describe('writes from elsewhere', () => {
  const foreign = { status: 403, code: 'foreign-origin' };
  const passed = { status: 400, code: 'validation-failed' };

  it.each([
    [{ host: 'evil.example' }, foreign],
    [{ host: 'localhost.evil.example:5000' }, foreign],
    [{ host: 'localhost:5000', origin: 'http://evil.example' }, foreign],
    [{ host: 'localhost:5000', origin: 'http://localhost:5001' }, foreign],
    [{ host: 'localhost:5000', origin: 'null' }, foreign],
    [{ host: 'localhost:5000', origin: 'http://localhost:5000' }, passed],
    [{ host: '127.0.0.1:1' }, passed],
    [{ host: '[::1]:5000' }, passed],
    [{ host: 'LOCALHOST' }, passed],
  ])('%j', async (headers, expected) => {
    expect(await writeAs(api.url, headers as unknown as Record<string, string>)).toEqual(expected);
  });
});

it('answers what is no HTTP with a problem', async () => {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.write('GET nonsense HTTP/9\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toMatch(/^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"code":"malformed-request"/);
});
