import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { protocolPaths } from '@hotswap/agent-protocol';
import pg from 'pg';
import { isReady } from '../../../tools/is-ready.js';
import { callsOf } from './call.js';
import { fillStreams } from './fill-streams.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, otherKey, startControlPlane, trustedKey, type ControlPlane } from './start-control-plane.js';
import { TestNode, type Environment } from './start-node.js';
import { startPostgres, type RunningPostgres } from './start-postgres.js';

/** What a row looks at of an answer. */
interface Problem {
  status: number;
  type: string | null;
  body: Record<string, unknown>;
}

const name = 'payment-processor';
const unknownId = '0193a0b0-0000-7000-8000-000000000000';
const apiToken = 'token-of-the-other-replica';
const writesPerMinuteMax = 3000;

let postgres: RunningPostgres;
let controlPlane: ControlPlane;
/** Asks for a token. */
let other: ControlPlane;
let url: string;
let call: ReturnType<typeof callsOf>;
let stalled: Promise<Problem>;
const nodes: TestNode[] = [];
/** Addresses of deployments: `first` no longer current, `waiting` for a node, `asking` for an approval, `cancelled`. */
const deployments = { first: '', waiting: '', asking: '', cancelled: '' };

beforeAll(async () => {
  postgres = await startPostgres();
  controlPlane = await startControlPlane({ DATABASE_URL: postgres.url });
  ({ url } = controlPlane);
  call = callsOf(url);
  await eventually(() => isReady(url), controlPlane.output);
  stalled = uploadWithoutEnd();
  stalled.catch(() => undefined);
  other = await startControlPlane({
    DATABASE_URL: postgres.url,
    HOTSWAP_API_TOKEN: apiToken,
    HOTSWAP_JOIN_TOKEN: 'join-token-of-this-test',
  });
  await eventually(() => isReady(other.url), other.output);
  for (const module of [name, 'payment-other'])
    for (const version of ['1.0.0', '1.1.0', '1.2.0'])
      expect((await publish(url, await moduleArtifact(module, version))).status).toBe(201);
  for (const environment of ['Development', 'QA'] as const) {
    const path = `/api/v1/clusters/${environment}/policy`;
    const { body } = await call('GET', path);
    const rolling = { ...(body['rolling'] as object), minimumReadySeconds: 0 };
    await call('PUT', path, { ...body, rolling, validateSeconds: 0.5 }, { 'if-match': '*' });
    nodes.push(await TestNode.start(url, environment));
  }
  deployments.first = await deploy(name, '1.0.0', 'Development');
  await waitForStatus(deployments.first, 'Succeeded');
  await waitForStatus(await deploy(name, '1.1.0', 'Development'), 'Succeeded');
  deployments.asking = await deploy(name, '1.1.0', 'Staging', { requireApproval: true });
  await waitForStatus(deployments.asking, 'AwaitingApproval');
  deployments.cancelled = await deploy('payment-other', '1.0.0', 'Production');
  await call('POST', `${deployments.cancelled}/cancel`);
  await waitForStatus(deployments.cancelled, 'Cancelled');
  deployments.waiting = await deploy('payment-other', '1.1.0', 'Production');
}, 400_000);
afterAll(async () => {
  for (const node of nodes) await node.remove();
  await other?.end();
  await controlPlane?.end();
  await postgres?.remove();
});

async function deploy(moduleName: string, version: string, targetEnvironment: Environment, more: object = {}) {
  const wish = { moduleName, version, targetEnvironment, requesterEmail: 'user@example.com', ...more };
  const { status, body } = await call('POST', '/api/v1/deployments', wish);
  expect([status, body]).toEqual([202, expect.objectContaining({ version })]);
  return `/api/v1/deployments/${body.id}`;
}

async function waitForStatus(path: string, wanted: string): Promise<void> {
  let last = '';
  await eventually(
    async () => {
      const { body, text } = await call('GET', path);
      last = text;
      return body['status'] === wanted;
    },
    () => last,
  );
}

async function answerOf(...wish: Parameters<typeof call>): Promise<Problem> {
  const { status, headers, body } = await call(...wish);
  return { status, type: headers.get('content-type'), body };
}

async function problemOf(response: Promise<Response>): Promise<Problem> {
  const answer = await response;
  const body = (await answer.json()) as Problem['body'];
  return { status: answer.status, type: answer.headers.get('content-type'), body };
}

async function published(...wish: Parameters<typeof publish> extends [string, ...infer Rest] ? Rest : never) {
  const { status, headers, body } = await publish(url, ...wish);
  return { status, type: headers.get('content-type'), body };
}

/** Sends bytes as they are; answers the first answer. */
async function raw(text: string): Promise<Problem> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    answer += chunk.toString();
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    const length = /^content-length: (\d+)$/im.exec(head)?.[1];
    if (length === undefined || Buffer.byteLength(body) < Number(length)) continue;
    const type = /^content-type: (.*)$/im.exec(head)?.[1]?.trim() ?? null;
    return { status: Number(head.split(' ')[1]), type, body: JSON.parse(body) as Problem['body'] };
  }
  throw new Error(`No whole answer: ${answer}`);
}

/** Begins to upload a module, and never ends. */
function uploadWithoutEnd(): Promise<Problem> {
  const body = '--b\r\ncontent-disposition: form-data; name="artifact"; filename="a.tgz"\r\n\r\nx';
  const headers = 'host: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000';
  return raw(`POST /api/v1/modules HTTP/1.1\r\n${headers}\r\n\r\n${body}`);
}

/** Writes from an address of its own, until one is refused for being too many. */
async function writeTooMuch(): Promise<Problem> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const write = () =>
    new Promise<Problem>((resolve, reject) => {
      const { hostname, port } = new URL(url);
      const path = '/api/v1/deployments';
      const wish = { hostname, port, path, method: 'POST', agent, localAddress: '127.0.0.2' };
      httpRequest(wish, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          const type = response.headers['content-type'] ?? null;
          resolve({ status: response.statusCode!, type, body: JSON.parse(text) as Problem['body'] });
        });
      })
        .on('error', reject)
        .end();
    });
  let last: Problem | null = null;
  for (let sent = 0; sent <= writesPerMinuteMax && last?.status !== 429; sent += 50)
    last = (await Promise.all(Array.from({ length: 50 }, write))).at(-1)!;
  agent.destroy();
  return last!;
}

async function openTooManyStreams(): Promise<Problem> {
  const path = '/api/v1/clusters/Staging/metrics';
  const sockets = await fillStreams(url, path);
  return answerOf('GET', path, undefined, { accept: 'text/event-stream' }).finally(() => {
    for (const socket of sockets) socket.destroy();
  });
}

/** Something that nobody foresaw: a table is gone. */
async function withoutTable(): Promise<Problem> {
  return inDatabase(async (client) => {
    await client.query('ALTER TABLE hotswap.module_configuration RENAME TO gone');
    return answerOf('GET', `/api/v1/modules/${name}/configuration/QA`).finally(() =>
      client.query('ALTER TABLE hotswap.gone RENAME TO module_configuration'),
    );
  });
}

/** Asks for a stream that can't be read yet when the process is told to end; a stream that is open already tells when it refuses others. */
async function askWhileItEnds(): Promise<Problem> {
  return inDatabase(async (client) => {
    await client.query('BEGIN');
    await client.query('LOCK TABLE hotswap.deployment_event');
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${apiToken}` };
    const open = await fetch(`${other.url}/api/v1/clusters/Staging/metrics`, { headers });
    const asked = problemOf(fetch(`${other.url}${deployments.waiting}/events`, { headers }));
    // A transaction sees the activity of one moment: the look is another connection's.
    const waits = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT%deployment_event%'`;
    await eventually(
      async () => (await inDatabase((looking) => looking.query(waits))).rowCount! > 0,
      () => 'the stream to wait for the lock',
    );
    other.process.kill('SIGTERM');
    await open.text();
    await client.query('COMMIT');
    return asked;
  });
}

async function inDatabase<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function withoutDatabase(): Promise<Problem> {
  await postgres.stop();
  return answerOf('GET', '/api/v1/deployments').finally(() => postgres.start());
}

const joining = (nodeId: string, changes: object = {}) => ({
  nodeId,
  environment: 'Production',
  bootId: 'boot-1',
  pid: 4711,
  hostname: 'web-1',
  address: 'http://127.0.0.1:7301',
  zone: null,
  kernelVersion: '1.0.0',
  accepted: null,
  ...changes,
});
const report = {
  bootId: 'boot-1',
  sequence: 1,
  state: 'Ready',
  accepted: null,
  refused: null,
  intervalSeconds: 1,
  modules: [],
  traffic: [],
  process: { cpuSeconds: 0, rssBytes: 0, eventLoopDelaySeconds: 0 },
};

/** Joins as a node of this id, then sends what `next` says with its secret. */
async function asNode(nodeId: string, next: { path: string; body: object; between?: () => Promise<unknown> }) {
  const { body } = await call('POST', protocolPaths.join, joining(nodeId));
  const authorization = `Bearer ${body['secret'] as string}`;
  await next.between?.();
  return answerOf('POST', next.path, next.body, { authorization });
}

async function fenced(): Promise<Problem> {
  const { body } = await call('POST', protocolPaths.join, joining('copied'));
  const headers = { authorization: `Bearer ${body['secret'] as string}` };
  await call('POST', protocolPaths.join, joining('copied', { bootId: 'boot-2' }), headers);
  return answerOf('POST', protocolPaths.reports('copied'), report, headers);
}

const wished = { moduleName: name, version: '1.0.0', targetEnvironment: 'QA', requesterEmail: 'user@example.com' };
const approver = { approverEmail: 'lead@example.com' };
const policyPath = '/api/v1/clusters/Production/policy';
const json = { 'content-type': 'application/json' };

/** One row for each code: status, and a request that is answered with it. */
const rows: Record<string, [status: number, produce: () => Promise<Problem>]> = {
  'validation-failed': [400, () => answerOf('POST', '/api/v1/deployments', {})],
  'malformed-json': [
    400,
    () => problemOf(fetch(`${url}/api/v1/deployments`, { method: 'POST', headers: json, body: '{' })),
  ],
  'malformed-multipart': [
    400,
    () =>
      problemOf(
        fetch(`${url}/api/v1/modules`, {
          method: 'POST',
          headers: { 'content-type': 'multipart/form-data; boundary=b' },
          body: '--b\r\ncontent-disposition: form-data; name="artifact"; filename="a"\r\n\r\ncut off',
        }),
      ),
  ],
  'malformed-request': [400, () => raw('GET / HTTP/1.1\r\nbroken\r\n\r\n')],
  unauthenticated: [401, () => problemOf(fetch(`${other.url}/api/v1/clusters`))],
  'own-approval': [403, () => answerOf('POST', `${deployments.asking}/approve`, { approverEmail: 'User@example.com' })],
  'foreign-origin': [
    403,
    () => answerOf('POST', '/api/v1/deployments', wished, { origin: 'http://elsewhere.example' }),
  ],
  'not-found': [404, () => answerOf('GET', '/api/v1/nothing')],
  'deployment-not-found': [404, () => answerOf('GET', `/api/v1/deployments/${unknownId}`)],
  'module-not-found': [404, () => answerOf('POST', '/api/v1/deployments', { ...wished, moduleName: 'nobody' })],
  'version-not-found': [404, () => answerOf('POST', '/api/v1/deployments', { ...wished, version: '9.0.0' })],
  'artifact-not-found': [404, () => answerOf('GET', `/api/v1/artifacts/sha256:${'0'.repeat(64)}`)],
  'analysis-not-found': [404, () => answerOf('GET', `${deployments.first}/recording`)],
  'environment-not-found': [404, () => answerOf('GET', '/api/v1/clusters/Moon')],
  'node-not-found': [404, () => answerOf('GET', '/api/v1/nodes/nobody')],
  'method-not-allowed': [405, () => answerOf('DELETE', '/api/v1/clusters')],
  'deployment-in-progress': [
    409,
    () => answerOf('POST', '/api/v1/deployments', { ...wished, targetEnvironment: 'Staging' }),
  ],
  'plan-outdated': [
    409,
    () =>
      answerOf('POST', '/api/v1/deployments', {
        ...wished,
        targetEnvironment: 'Development',
        planRevision: `sha256:${'0'.repeat(64)}`,
      }),
  ],
  'version-exists': [409, async () => published(await moduleArtifact(name, '1.0.0', '// other'))],
  'version-withdrawn': [
    409,
    async () => {
      await call('POST', '/api/v1/modules/payment-other/versions/1.2.0/withdraw', { reason: 'Not good' });
      return answerOf('POST', '/api/v1/deployments', { ...wished, moduleName: 'payment-other', version: '1.2.0' });
    },
  ],
  'nothing-to-roll-back': [409, () => answerOf('POST', `${deployments.cancelled}/rollback`)],
  'not-current': [409, () => answerOf('POST', `${deployments.first}/rollback`)],
  'not-running': [409, () => answerOf('POST', `${deployments.first}/cancel`)],
  'not-paused': [409, () => answerOf('POST', `${deployments.first}/resume`)],
  'nothing-to-promote': [409, () => answerOf('POST', `${deployments.first}/promote`)],
  'nothing-to-retry': [409, () => answerOf('POST', `${deployments.first}/retry`)],
  'nothing-to-approve': [409, () => answerOf('POST', `${deployments.first}/approve`, approver)],
  fenced: [409, fenced],
  'identity-taken': [
    409,
    () => asNode('settled', { path: protocolPaths.join, body: joining('settled', { environment: 'QA' }) }),
  ],
  decommissioned: [
    410,
    () =>
      asNode('leaving', {
        between: () => call('DELETE', '/api/v1/nodes/leaving'),
        path: protocolPaths.reports('leaving'),
        body: report,
      }),
  ],
  'precondition-failed': [
    412,
    async () => answerOf('PUT', policyPath, (await call('GET', policyPath)).body, { 'if-match': '"99"' }),
  ],
  'too-large': [413, () => answerOf('POST', '/api/v1/deployments', { ...wished, description: 'x'.repeat(256 * 1024) })],
  'uri-too-long': [414, () => answerOf('GET', `/api/v1/modules/${'a'.repeat(301)}`)],
  'unsupported-media-type': [
    415,
    () =>
      problemOf(
        fetch(`${url}/api/v1/deployments`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' }),
      ),
  ],
  'idempotency-key-reused': [
    422,
    async () => {
      const headers = { 'idempotency-key': 'once' };
      const done = { ...wished, moduleName: name, version: '1.1.0', targetEnvironment: 'Development' };
      await call('POST', `${deployments.asking}/cancel`);
      await waitForStatus(deployments.asking, 'Cancelled');
      expect((await call('POST', '/api/v1/deployments', done, headers)).status).toBe(202);
      return answerOf('POST', '/api/v1/deployments', { ...done, description: 'another' }, headers);
    },
  ],
  'signature-missing': [422, async () => published(await moduleArtifact(name, '7.0.0'), null)],
  'signature-invalid': [
    422,
    async () => published({ ...(await moduleArtifact(name, '7.0.0')), digest: `sha256:${'1'.repeat(64)}` }),
  ],
  'untrusted-signer': [422, async () => published(await moduleArtifact(name, '7.0.0'), otherKey)],
  'artifact-invalid': [
    422,
    async () => published({ ...(await moduleArtifact(name, '7.0.0')), bytes: Buffer.from('no gzip') }, trustedKey),
  ],
  'precondition-required': [428, async () => answerOf('PUT', policyPath, (await call('GET', policyPath)).body)],
  'too-many-requests': [429, writeTooMuch],
  'headers-too-large': [431, () => raw(`GET / HTTP/1.1\r\nhost: localhost\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`)],
  'internal-error': [500, withoutTable],
  'deadline-exceeded': [503, () => stalled],
  'too-many-streams': [503, openTooManyStreams],
  'shutting-down': [503, askWhileItEnds],
  // The last one: whoever asks next may find a connection of before.
  'database-unavailable': [503, withoutDatabase],
};

describe('every code of a problem is answered by the running application', () => {
  it.each(Object.entries(rows))(
    '%s',
    async (code, [status, produce]) => {
      const answer = await produce();
      expect(answer).toEqual({
        status,
        type: expect.stringMatching(/^application\/problem\+json/),
        body: expect.objectContaining({
          type: `urn:hotswap:problem:${code}`,
          title: expect.stringMatching(/./),
          status,
          detail: expect.stringMatching(/./),
          instance: expect.stringMatching(/^\//),
          code,
        }),
      });
      const { errors, deployment } = answer.body;
      if (code === 'validation-failed')
        expect(errors).toContainEqual({ pointer: '/moduleName', message: expect.stringMatching(/./) });
      else expect(errors).toBeUndefined();
      if (code === 'deployment-in-progress') expect(deployment).toMatch(/^\/api\/v1\/deployments\//);
      else expect(deployment).toBeUndefined();
    },
    120_000,
  );
});

it('the table has a row for each code that the OpenAPI document or docs/api.md names, and they name the same', async () => {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
    components: { schemas: { Problem: { properties: { code: { enum: string[] } } } } };
  };
  const documented = document.components.schemas.Problem.properties.code.enum;
  expect(documented.toSorted()).toEqual(Object.keys(rows).sort());
  const page = readFileSync(join(import.meta.dirname, '../../../docs/api.md'), 'utf8');
  const described = [...page.matchAll(/^\| \d{3}[^|]*\|([^|]*)\|/gm)].flatMap(([, codes]) =>
    [...codes!.matchAll(/`([a-z-]+)`/g)].map((match) => match[1]!),
  );
  expect([...new Set(described)].sort()).toEqual(documented.toSorted());
});
