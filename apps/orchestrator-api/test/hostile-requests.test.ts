import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { emptyLatencyHistogram, protocolPaths, type JoinResponse } from '@hotswap/agent-protocol';
import { defaultPolicy } from '@hotswap/domain';
import fc from 'fast-check';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';

const id = '0193a0b0-0000-7000-8000-000000000000';
const digest = `sha256:${'a'.repeat(64)}`;
const deployment = {
  moduleName: 'payment-processor',
  version: '1.0.0',
  targetEnvironment: 'QA',
  requesterEmail: 'user@example.com',
  description: 'x',
  metadata: { a: 'b' },
  requireApproval: false,
};
const joining = {
  nodeId: 'hostile',
  environment: 'QA',
  bootId: 'boot-1',
  pid: 1,
  hostname: 'h',
  address: 'http://127.0.0.1:1',
  zone: null,
  kernelVersion: '1.0.0',
  accepted: null,
};
const report = {
  bootId: 'boot-1',
  sequence: 1,
  state: 'Ready',
  accepted: { epoch: 1, revision: 1 },
  refused: null,
  intervalSeconds: 1,
  modules: [
    {
      module: 'payment-processor',
      active: digest,
      candidate: null,
      candidatePercent: 0,
      servingFallback: false,
      instances: [
        { release: digest, version: '1.0.0', state: 'Active', error: null, failureKind: null, crashes: 0, pid: 1 },
      ],
    },
  ],
  traffic: [
    {
      module: 'payment-processor',
      release: digest,
      version: '1.0.0',
      requests: 1,
      failures: 0,
      latency: emptyLatencyHistogram(),
      latencySumSeconds: 0,
      inFlight: 0,
      cpuSeconds: null,
      rssBytes: null,
      eventLoopDelaySeconds: null,
    },
  ],
  process: { cpuSeconds: 0, rssBytes: 0, eventLoopDelaySeconds: 0 },
};

let database: EmptyDatabase;
let controlPlane: ControlPlane;
let url: string;
let secret: string;

beforeAll(async () => {
  database = await createDatabase();
  controlPlane = await startControlPlane({ DATABASE_URL: database.url, LOG_LEVEL: 'warn' });
  ({ url } = controlPlane);
  await eventually(() => isReady(url), controlPlane.output);
  expect((await publish(url, await moduleArtifact('payment-processor', '1.0.0'))).status).toBe(201);
  const joined = await send('POST', protocolPaths.join, JSON.stringify(joining));
  ({ secret } = JSON.parse(joined.text) as JoinResponse);
}, 120_000);
afterAll(async () => {
  await controlPlane?.end();
  await database?.remove();
});

async function send(method: string, path: string, body?: string, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method,
    headers: {
      'content-type': 'application/json',
      'if-match': '*',
      ...(path.startsWith('/internal/') && secret && { authorization: `Bearer ${secret}` }),
      ...headers,
    },
    body,
  });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** No request, however odd, is this side's fault, and every refusal is a problem document. */
function expectNoFault({ status, type, text }: { status: number; type: string | null; text: string }): void {
  if (status >= 500) throw new Error(`${status}: ${text}\n${controlPlane.output().slice(-3000)}`);
  if (status < 400) return;
  expect(type).toBe('application/problem+json; charset=utf-8');
  expect(JSON.parse(text)).toMatchObject({ status, code: expect.any(String) });
}

it('no stranger takes the place of a node that is known, also where joining needs no token', async () => {
  for (const authorization of ['', 'Bearer hostile.AAAA', `Bearer ${secret.slice(0, -1)}`]) {
    const taking = JSON.stringify({ ...joining, bootId: 'boot-2' });
    const { status, text } = await send('POST', protocolPaths.join, taking, { authorization });
    expect([status, JSON.parse(text)]).toEqual([401, expect.objectContaining({ code: 'unauthenticated' })]);
  }
  const again = await send('POST', protocolPaths.join, JSON.stringify(joining));
  expect([again.status, JSON.parse(again.text)]).toEqual([200, expect.objectContaining({ secret })]);
});

const writes: [string, string, object][] = [
  ['POST', '/api/v1/deployments', deployment],
  ['POST', `/api/v1/deployments/${id}/rollback`, { scope: 'all', reason: 'x' }],
  ['POST', `/api/v1/deployments/${id}/cancel`, { reason: 'x' }],
  ['PUT', '/api/v1/clusters/Production/policy', defaultPolicy('Production')],
  ['POST', protocolPaths.join, joining],
  ['POST', protocolPaths.reports('hostile'), report],
];

const odd = fc.constantFrom<unknown>(
  ...[
    null,
    true,
    -1,
    0,
    1.5,
    1e308,
    2 ** 31,
    2 ** 53,
    '',
    ' ',
    '\0',
    '\ud800',
    '💩',
    'é'.repeat(300),
    'null',
    id,
    digest,
  ],
  ...[[], {}, [[]], [null], { a: null }, 'Production', 'pRODUCTION', '1.0.0-rc.1+build', '99999999999999999999.0.0'],
);
const names = fc.oneof(
  fc.constantFrom('moduleName', 'version', 'limit', 'cursor', 'from', 'to', 'status', 'environment', 'stepSeconds'),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'then', '0', ''),
  fc.string({ unit: 'binary' }),
);
const anything = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    odd,
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(names, tie('value'), { maxKeys: 6 }),
  ),
})).value;

/** Every place in a value, as the path of names that leads there. */
function placesIn(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  const children = Object.entries(value).slice(0, 12);
  return [path, ...children.flatMap(([name, child]) => placesIn(child, [...path, name]))];
}

function withChange(value: unknown, [name, ...rest]: string[], change: unknown): unknown {
  if (name === undefined) return change;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[name] = withChange(copy[name], rest, change);
  return copy;
}

/** Right but in one place, so that most of it gets as far as the database. */
const almostRight = fc
  .constantFrom(...writes)
  .chain(([method, path, body]) =>
    fc
      .tuple(fc.constantFrom(...placesIn(body)), fc.oneof(odd, anything))
      .map(([place, change]) => ({ method, path, body: JSON.stringify(withChange(body, place, change)) })),
  );

it('no body that is right but in one place is more than refused', async () => {
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(almostRight, async ({ method, path, body }) => {
      const answer = await send(method, path, body);
      seen.add(answer.status);
      expectNoFault(answer);
    }),
    { numRuns: 600 },
  );
  // Some have to pass, or nothing but the validation was tried.
  expect([...seen]).toEqual(expect.arrayContaining([200, 204, 400, 404]));
}, 120_000);

it('nor is any other body', async () => {
  const types = fc.constantFrom(
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'multipart/form-data',
    '*',
  );
  const bodies = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 200 }),
    anything.map((value) => JSON.stringify(value)),
  );
  const targets = fc.constantFrom(...writes.map(([method, path]) => ({ method, path })), {
    method: 'POST',
    path: '/api/v1/modules',
  });
  await fc.assert(
    fc.asyncProperty(targets, types, bodies, async ({ method, path }, type, body) =>
      expectNoFault(await send(method, path, body, { 'content-type': type })),
    ),
    { numRuns: 400 },
  );
}, 120_000);

it('nor is any query', async () => {
  const lists = fc.constantFrom(
    '/api/v1/deployments',
    '/api/v1/modules',
    `/api/v1/deployments/${id}/events`,
    '/api/v1/clusters/QA/metrics',
  );
  const values = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(
      '1',
      '200',
      'qa',
      'Running',
      '2026-01-01T00:00:00Z',
      '9999-12-31T23:59:59.999999999-23:59',
      '1970-01-01T00:00:00+23:59',
    ),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text).toString('base64url')),
  );
  await fc.assert(
    fc.asyncProperty(lists, fc.array(fc.tuple(names, values), { maxLength: 4 }), async (path, pairs) => {
      const query = pairs.map((pair) => pair.map((text) => encodeURIComponent(text.toWellFormed())).join('='));
      const response = await fetch(`${url}${path}?${query.join('&')}`);
      const type = response.headers.get('content-type');
      expectNoFault({ status: response.status, type, text: await response.text() });
    }),
    { numRuns: 400 },
  );
}, 120_000);

it('nor is any address', async () => {
  const segment = fc.oneof(
    fc.constantFrom(
      'internal',
      'deployments',
      'clusters',
      'modules',
      'versions',
      'nodes',
      'artifacts',
      'policy',
      'payment-processor',
    ),
    fc.constantFrom(id, 'QA', '%00', '%ff', '%', ':id', '*', digest, '1.0.0', 'hostile'),
    fc.string({ unit: 'binary' }).map((text) => encodeURIComponent(text.toWellFormed())),
  );
  const methods = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS');
  await fc.assert(
    fc.asyncProperty(methods, fc.array(segment, { minLength: 1, maxLength: 6 }), async (method, segments) => {
      const response = await fetch(`${url}/api/v1/${segments.join('/')}`, { method });
      const type = response.headers.get('content-type');
      expectNoFault({ status: response.status, type, text: await response.text() });
    }),
    { numRuns: 400 },
  );
}, 120_000);
