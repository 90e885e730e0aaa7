import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { callApi } from './call-api.js';
import { startApi, type RunningApi } from './start-api.js';

let api: RunningApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.app.close());

const id = '0193a0b0-0000-7000-8000-000000000000';
const writes: [string, string][] = [
  ['POST', '/api/v1/deployments'],
  ['POST', `/api/v1/deployments/${id}/rollback`],
  ['POST', `/api/v1/deployments/${id}/cancel`],
  ['PUT', '/api/v1/clusters/Production/policy'],
  ['POST', '/internal/v1/nodes'],
  ['POST', '/internal/v1/nodes/a/reports'],
];
const lists = [
  '/api/v1/deployments',
  '/api/v1/modules',
  `/api/v1/deployments/${id}/events`,
  '/api/v1/clusters/QA/metrics',
];

const names = fc.oneof(
  fc.constantFrom('moduleName', 'version', 'metadata', 'canary', 'steps', 'nodeId', 'modules', 'latency', 'process'),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'then', '0', '', 'limit', 'cursor', 'from', 'status'),
  fc.string({ unit: 'binary' }),
);
const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, 0, -1, 1e308, -0.5, '', 'Production', '2.1.0', 'user@example.com', '\0', '\ud800', id),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(names, tie('value'), { maxKeys: 6 }),
  ),
})).value;

/** Only what the missing database explains may be a 5xx; everything else is the request's fault and says so. */
function expectProblem({ status, problem }: { status: number; problem: { status?: number; code?: string } }): void {
  expect(problem.status).toBe(status);
  if (status >= 500) expect(problem.code).toBe('database-unavailable');
}

it('no body gets more than a problem out of the API', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...writes), values, async ([method, path], body) => {
      expectProblem(await callApi(api.url, method, path, JSON.stringify(body), { 'if-match': '"1"' }));
    }),
    { numRuns: 400 },
  );
});

it('no bytes as a body do either', async () => {
  const types = fc.constantFrom(
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'multipart/form-data',
    '*',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...writes, ['POST', '/api/v1/modules']),
      types,
      fc.string({ unit: 'binary-ascii', maxLength: 200 }),
      async ([method, path], type, body) => {
        expectProblem(await callApi(api.url, method, path, body, { 'content-type': type, 'if-match': '*' }));
      },
    ),
    { numRuns: 300 },
  );
});

it('no query does', async () => {
  const queries = fc.array(
    fc.tuple(names, fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('1', 'QA', '%00'))),
    {
      maxLength: 4,
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...lists), queries, async (path, pairs) => {
      const query = pairs.map(
        ([name, value]) => `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value)}`,
      );
      expectProblem(await callApi(api.url, 'GET', `${path}?${query.join('&')}`));
    }),
    { numRuns: 300 },
  );
});

it('no address does', async () => {
  const segment = fc.oneof(
    fc.constantFrom(
      'api',
      'v1',
      'internal',
      'deployments',
      'clusters',
      'modules',
      'versions',
      'nodes',
      'artifacts',
      'policy',
    ),
    fc.constantFrom(id, 'QA', '%00', '%ff', '%', ':id', '*', 'sha256:0'),
    fc.string({ unit: 'binary' }).map((text) => encodeURIComponent(text.toWellFormed())),
  );
  const methods = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS');
  await fc.assert(
    fc.asyncProperty(methods, fc.array(segment, { minLength: 1, maxLength: 6 }), async (method, segments) => {
      const path = `/api/v1/${segments.join('/')}`;
      expectProblem(await callApi(api.url, method, path));
    }),
    { numRuns: 400 },
  );
});
