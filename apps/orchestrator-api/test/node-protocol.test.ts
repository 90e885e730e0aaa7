import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  emptyLatencyHistogram,
  protocolPaths,
  type JoinRequest,
  type JoinResponse,
  type NodeDocument,
  type NodeReport,
} from '@hotswap/agent-protocol';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';

const joinToken = 'join-token-of-this-test';
let database: EmptyDatabase;
let controlPlane: ControlPlane;
let url: string;

beforeAll(async () => {
  database = await createDatabase();
  controlPlane = await startControlPlane({ DATABASE_URL: database.url, HOTSWAP_JOIN_TOKEN: joinToken });
  ({ url } = controlPlane);
  await eventually(() => isReady(url), controlPlane.output);
}, 120_000);
afterAll(async () => {
  await controlPlane?.end();
  await database?.remove();
});

function joinRequest(changes: Partial<JoinRequest> = {}): JoinRequest {
  return {
    nodeId: 'node-1',
    environment: 'Production',
    bootId: 'boot-1',
    pid: 4711,
    hostname: 'web-1',
    address: 'http://127.0.0.1:7301',
    zone: null,
    kernelVersion: '1.0.0',
    accepted: null,
    ...changes,
  };
}

function report(bootId: string, sequence: number, changes: Partial<NodeReport> = {}): NodeReport {
  return {
    bootId,
    sequence,
    state: 'Ready',
    accepted: null,
    refused: null,
    intervalSeconds: 1,
    modules: [],
    traffic: [],
    process: { cpuSeconds: 0.1, rssBytes: 50_000_000, eventLoopDelaySeconds: 0.001 },
    ...changes,
  };
}

async function send(method: string, path: string, token: string | null, body?: unknown) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as Record<string, unknown> };
}

async function join(changes: Partial<JoinRequest> = {}, token: string | null = joinToken): Promise<JoinResponse> {
  const { status, body } = await send('POST', protocolPaths.join, token, joinRequest(changes));
  expect(status).toBe(200);
  return body as unknown as JoinResponse;
}

/** The documents of a stream, in the order in which they come. */
async function* documentsOf(nodeId: string, secret: string, signal: AbortSignal): AsyncGenerator<NodeDocument> {
  const response = await fetch(url + protocolPaths.document(nodeId), {
    headers: { authorization: `Bearer ${secret}`, accept: 'text/event-stream' },
    signal,
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [first, data] = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      if (first === 'event: document') yield JSON.parse(data!.slice('data: '.length)) as NodeDocument;
    }
  }
}

describe('joining', () => {
  it.each([null, 'wrong', 'node-1.AAAA'])('needs the join token, not %j', async (token) => {
    const { status, body } = await send('POST', protocolPaths.join, token, joinRequest());
    expect([status, body['code']]).toEqual([401, 'unauthenticated']);
  });

  it('gives a secret that serves from then on, and only for this node', async () => {
    const { secret, document, nodeId } = await join({ nodeId: 'node-a' });
    expect(nodeId).toBe('node-a');
    expect(document).toMatchObject({ epoch: expect.any(Number), revision: expect.any(Number), modules: [] });
    expect((await send('GET', protocolPaths.document('node-a'), secret)).body).toEqual(document);
    expect((await send('GET', protocolPaths.document('node-b'), secret)).status).toBe(401);
    expect((await send('GET', protocolPaths.document('node-a'), joinToken)).status).toBe(401);
    expect((await send('GET', protocolPaths.document('node-a'), null)).status).toBe(401);
    const again = await join({ nodeId: 'node-a', bootId: 'boot-2' }, secret);
    expect(again.secret).toBe(secret);
  });

  it('as another environment is refused', async () => {
    const { secret } = await join({ nodeId: 'node-c' });
    const { status, body } = await send(
      'POST',
      protocolPaths.join,
      secret,
      joinRequest({ nodeId: 'node-c', environment: 'QA' }),
    );
    expect([status, body['code']]).toEqual([409, 'identity-taken']);
  });

  it.each([
    ['/nodeId', { nodeId: '../x' }],
    ['/address', { address: 'ftp://x' }],
    ['/pid', { pid: 0 }],
    ['/accepted/epoch', { accepted: { epoch: -1, revision: 0 } }],
  ])('with a wrong %s is refused', async (pointer, changes) => {
    const { status, body } = await send('POST', protocolPaths.join, joinToken, { ...joinRequest(), ...changes });
    expect([status, (body['errors'] as { pointer: string }[])[0]?.pointer]).toEqual([400, pointer]);
  });
});

describe('reports', () => {
  it('are kept, and shown by the cluster and the node', async () => {
    const { secret } = await join({ nodeId: 'node-r', environment: 'QA' });
    expect((await send('POST', protocolPaths.reports('node-r'), secret, report('boot-1', 1))).status).toBe(204);
    expect((await send('POST', protocolPaths.reports('node-r'), secret, report('boot-1', 1))).status).toBe(204);
    expect((await send('GET', '/api/v1/nodes/node-r', null)).body).toMatchObject({
      id: 'node-r',
      environment: 'QA',
      hostname: 'web-1',
      address: 'http://127.0.0.1:7301',
      state: 'Ready',
      bootId: 'boot-1',
      pid: 4711,
      modules: [],
    });
    expect((await send('GET', '/api/v1/clusters/QA', null)).body).toMatchObject({
      status: 'Healthy',
      nodeCounts: { total: 1, healthy: 1, unhealthy: 0 },
    });
  });

  it('of an older boot are fenced', async () => {
    const { secret } = await join({ nodeId: 'node-f' });
    await join({ nodeId: 'node-f', bootId: 'boot-2' }, secret);
    const { status, body } = await send('POST', protocolPaths.reports('node-f'), secret, report('boot-1', 1));
    expect([status, body['code']]).toEqual([409, 'fenced']);
  });

  const module = {
    module: 'a',
    active: null,
    candidate: null,
    candidatePercent: 0,
    servingFallback: false,
    instances: [],
  };
  const figures = { cpuSeconds: 0, rssBytes: 0, eventLoopDelaySeconds: 0 };

  it.each<[string, Partial<NodeReport>]>([
    ['/process/cpuSeconds', { process: { ...figures, cpuSeconds: -1 } }],
    ['/process/rssBytes', { process: { ...figures, rssBytes: 0.5 } }],
    ['/modules', { modules: [module, module] }],
    ['/modules', { modules: [[]] as unknown as NodeReport['modules'] }],
    ['/modules/0/module', { modules: [{ ...module, module: 'A' }] }],
  ])('with a wrong %s are refused', async (pointer, changes) => {
    const { secret } = await join({ nodeId: 'node-w' });
    const { status, body } = await send('POST', protocolPaths.reports('node-w'), secret, report('boot-1', 1, changes));
    expect([status, (body['errors'] as { pointer: string }[])[0]?.pointer]).toEqual([400, pointer]);
  });

  it('become the figures of the cluster', async () => {
    const { secret } = await join({ nodeId: 'node-m', environment: 'Staging' });
    const latency = emptyLatencyHistogram();
    latency[0] = 90;
    latency[30] = 10;
    const sample = {
      module: 'payment-processor',
      release: `sha256:${'a'.repeat(64)}`,
      version: '1.0.0',
      requests: 100,
      failures: 5,
      latency,
      latencySumSeconds: 0.2,
      inFlight: 2,
      cpuSeconds: 0.6,
      rssBytes: 64 * 1024 * 1024,
      eventLoopDelaySeconds: 0.002,
    };
    const sent = await send(
      'POST',
      protocolPaths.reports('node-m'),
      secret,
      report('boot-1', 1, { traffic: [sample] }),
    );
    expect(sent.status).toBe(204);
    const { body } = await send('GET', '/api/v1/clusters/staging/metrics?moduleName=payment-processor', null);
    const figures = {
      requests: 100,
      failures: 5,
      errorRatePercent: 5,
      latencyMs: { mean: 2, p50: 0.5, p95: expect.any(Number), p99: expect.any(Number) },
      memoryMiB: 64,
      cpuPercent: 1,
      eventLoopDelayMs: 2,
    };
    expect(body).toMatchObject({
      cluster: figures,
      modules: [{ name: 'payment-processor', version: '1.0.0', ...figures }],
      nodes: [{ id: 'node-m', ...figures }],
    });
    const series = body['series'] as { requests: number | null }[];
    expect(series.reduce((sum, { requests }) => sum + (requests ?? 0), 0)).toBe(100);
  });
});

it('a stream sends the document at once, and again when something is deployed', async () => {
  const artifact = await moduleArtifact('payment-processor', '1.0.0');
  expect((await publish(url, artifact)).status).toBe(201);
  const { secret, document } = await join({ nodeId: 'node-s', bootId: 'boot-s', environment: 'Development' });
  // The only node of its environment; it has to be heard for as long as the deployment takes to reach it.
  let sequence = 0;
  const spoken: Promise<unknown>[] = [];
  const speak = () => spoken.push(send('POST', protocolPaths.reports('node-s'), secret, report('boot-s', ++sequence)));
  const speaking = setInterval(speak, 1000);
  speak();
  const abort = new AbortController();
  try {
    const documents = documentsOf('node-s', secret, abort.signal);
    expect((await documents.next()).value).toEqual(document);
    const deployed = await send('POST', '/api/v1/deployments', null, {
      moduleName: 'payment-processor',
      version: '1.0.0',
      targetEnvironment: 'Development',
      requesterEmail: 'user@example.com',
    });
    expect(deployed.status).toBe(202);
    const { value } = (await documents.next()) as { value: NodeDocument };
    expect(value.revision).toBeGreaterThan(document.revision);
    expect(value.modules[0]).toMatchObject({ module: 'payment-processor' });
    const spec = value.modules[0]!.active ?? value.modules[0]!.candidate;
    expect(spec?.artifact).toBe(artifact.digest);

    const bytes = await fetch(url + protocolPaths.artifact(artifact.digest), {
      headers: { authorization: `Bearer ${secret}` },
    });
    expect(Buffer.from(await bytes.arrayBuffer()).equals(artifact.bytes)).toBe(true);
    const bundles = await send('GET', protocolPaths.bundles(artifact.digest), secret);
    expect(bundles.body['items']).toHaveLength(1);
    expect((await send('GET', protocolPaths.artifact(artifact.digest), null)).status).toBe(401);
  } finally {
    abort.abort();
    clearInterval(speaking);
    await Promise.all(spoken);
  }
});

it('ends its streams and the process when told to', async () => {
  const { secret } = await join({ nodeId: 'node-e' });
  const documents = documentsOf('node-e', secret, new AbortController().signal);
  await documents.next();
  const code = controlPlane.end();
  expect((await documents.next()).done).toBe(true);
  expect(await code).toBe(0);
});
