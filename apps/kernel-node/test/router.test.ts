import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { assignment, Fixture, type NodeProcess, versioned, waitFor } from './node-fixture.js';

const probe = `
let aborted = 0;
let uploads = 0;
let waits = 0;
let broken = null;
let goOn = () => undefined;
const told = () => new Promise((resolve) => (goOn = resolve));
const text = new TextEncoder();
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case '/headers': return Response.json({ headers: [...request.headers], url: request.url });
      case '/cookies': return new Response(null, { headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-hotswap-module', 'forged']] });
      case '/echo': return new Response(request.body, { headers: { 'content-type': 'application/octet-stream' } });
      case '/unread': return new Response('not read');
      case '/throw': throw new Error('on purpose');
      case '/read': return new Response(await request.text());
      case '/upload':
        uploads++;
        request.signal.addEventListener('abort', () => { aborted++; });
        return request.text().then((whole) => new Response(whole), (error) => { broken = error.name; throw error; });
      case '/uploads': return Response.json({ uploads, broken });
      case '/flood': return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)), cancel() { aborted++; } }));
      case '/large': return new Response('x'.repeat(60_000));
      case '/many': return new Response(new ReadableStream({
        start(controller) {
          for (let piece = 0; piece < 6; piece++) controller.enqueue(text.encode('x'.repeat(10_000)));
          controller.close();
        },
      }));
      case '/never': return new Promise(() => undefined);
      case '/aborts': return Response.json({ aborted });
      case '/waits': return Response.json({ waits });
      case '/wait':
        waits++;
        request.signal.addEventListener('abort', () => { aborted++; });
        return new Promise(() => undefined);
      case '/ticks': return new Response(new ReadableStream({
        async start(controller) {
          controller.enqueue(text.encode('tick 0\\n'));
          await told();
          for (let tick = 1; tick < 3; tick++) controller.enqueue(text.encode('tick ' + tick + '\\n'));
          controller.close();
        },
      }));
      case '/go-on': goOn(); return new Response('it does');
      case '/breaks': return new Response(new ReadableStream({
        async start(controller) {
          controller.enqueue(text.encode('half'));
          await told();
          controller.error(new Error('midway'));
        },
      }));
      default: return request.method === 'DELETE' ? new Response(null, { status: 204 }) : new Response('here');
    }
  },
};`;

const abortsOf = async ({ address }: NodeProcess) =>
  ((await (await fetch(`${address}/probe/aborts`)).json()) as { aborted: number }).aborted;

describe("the node's port", () => {
  let fixture: Fixture;
  let node: NodeProcess;

  beforeAll(async () => {
    fixture = await Fixture.create();
    const one = await fixture.publish('probe', '1.0.0', probe, {
      manifest: { limits: { requestBodyMiB: 1, inFlight: 4 } },
    });
    const hasty = await fixture.publish('hasty', '1.0.0', probe, { manifest: { limits: { requestSeconds: 1 } } });
    const elsewhere = await fixture.publish('elsewhere', '1.0.0', versioned(), { manifest: { route: 'mounted' } });
    const modules = [one, hasty, elsewhere].map((release) => assignment(release));
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules };
    node = await fixture.startNode();
    await node.ready();
  });
  afterAll(() => fixture.close());

  async function expectProblem(response: Response, status: number, code: string, instance: string): Promise<void> {
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toEqual({
      type: `urn:hotswap:problem:${code}`,
      title: expect.any(String),
      status,
      detail: expect.any(String),
      instance,
      code,
    });
    expect(response.status).toBe(status);
  }

  /** What comes back on a connection that gets these bytes. */
  async function exchange(bytes: string): Promise<string> {
    const socket = connect(node.hostAndPort);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(bytes);
    await closed;
    return Buffer.concat(chunks).toString('latin1');
  }

  const aborts = () => abortsOf(node);

  it('404 no-such-route', async () => {
    await expectProblem(await fetch(`${node.address}/nobody/x?y=1`), 404, 'no-such-route', '/nobody/x');
    await expectProblem(await fetch(`${node.address}/`), 404, 'no-such-route', '/');
    await expectProblem(await fetch(`${node.address}/elsewhere/`), 404, 'no-such-route', '/elsewhere/');
    expect((await fetch(`${node.address}/mounted`)).status).toBe(200);
  });

  it('502 module-failed, with the release that failed', async () => {
    const failed = await fetch(`${node.address}/probe/throw`);
    expect(failed.headers.get('x-hotswap-module')).toBe('probe@1.0.0');
    await expectProblem(failed, 502, 'module-failed', '/probe/throw');
  });

  it('504 deadline-exceeded', async () => {
    await expectProblem(await fetch(`${node.address}/hasty/never`), 504, 'deadline-exceeded', '/hasty/never');
  });

  it('503 overloaded, with Retry-After', async () => {
    const client = new AbortController();
    // One too many, whichever comes last; the others are never answered.
    const asked = Array.from({ length: 5 }, () => fetch(`${node.address}/probe/never`, { signal: client.signal }));
    const refused = await Promise.race(asked);
    expect(refused.headers.get('retry-after')).toBe('1');
    await expectProblem(refused, 503, 'overloaded', '/probe/never');
    client.abort();
    const outcomes = (await Promise.allSettled(asked)).map(({ status }) => status);
    expect(outcomes.sort()).toEqual(['fulfilled', ...Array<string>(4).fill('rejected')]);
    await waitFor('there is room again', async () => (await fetch(`${node.address}/probe/`)).ok);
  });

  it('413 too-large, announced and not, and the connection goes on', async () => {
    const big = Buffer.alloc(3 * 1024 * 1024, 'x');
    await expectProblem(
      await fetch(`${node.address}/probe/echo`, { method: 'POST', body: big }),
      413,
      'too-large',
      '/probe/echo',
    );
    const unannounced = new Blob([big]).stream();
    const response = await fetch(`${node.address}/probe/unread`, { method: 'POST', body: unannounced, duplex: 'half' });
    expect([200, 413]).toContain(response.status);
    await response.arrayBuffer();
    expect(await (await fetch(`${node.address}/probe/`)).text()).toBe('here');
  });

  it('431 headers-too-large', async () => {
    const answer = await exchange(`GET /probe/ HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect(answer).toContain('application/problem+json');
    expect(answer).toContain('"code":"headers-too-large"');
  });

  it('400 for what is not HTTP', async () => {
    expect(await exchange('nonsense\r\n\r\n')).toContain('"code":"malformed-request"');
  });

  it('501 for a WebSocket, while an offer of h2c is left and answered', async () => {
    const upgrade = (protocol: string) =>
      exchange(
        `GET /probe/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      );
    expect(await upgrade('websocket')).toMatch(/^HTTP\/1\.1 501 [^]*"code":"upgrade-not-supported"/);
    expect(await upgrade('h2c')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('405 for a method that no module can be asked by', async () => {
    const answer = await exchange('TRACE /probe/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
    expect(answer).toContain('allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n');
    expect(answer).toContain('"code":"method-not-allowed"');
  });

  it('405 for a write to its own pages', async () => {
    const response = await fetch(`${node.address}/health/ready`, { method: 'POST' });
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    await expectProblem(response, 405, 'method-not-allowed', '/health/ready');
  });

  it('answers its own pages', async () => {
    expect(await (await fetch(`${node.address}/health/live`)).json()).toEqual({ status: 'live' });
    expect(await (await fetch(`${node.address}/health/ready`)).json()).toMatchObject({
      status: 'ready',
      state: 'Ready',
    });
    const metrics = await fetch(`${node.address}/metrics`);
    expect(metrics.headers.get('content-type')).toContain('text/plain');
    expect(await metrics.text()).toContain('hotswap_problems_total{code="no-such-route"}');
  });

  it("passes headers on without the connection's own, and says where a request came from", async () => {
    const answer = await exchange(
      'GET /probe/headers?q=1 HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 10.0.0.1\r\nX-Secret-Hop: 1\r\nX-Kept: 2\r\nTE: trailers\r\nProxy-Authorization: Basic x\r\nConnection: close, X-Secret-Hop\r\nX-Hotswap-Module: forged\r\nX-Hotswap-Probe: 1\r\n\r\n',
    );
    const { headers, url } = JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as {
      headers: [string, string][];
      url: string;
    };
    expect(Object.fromEntries(headers)).toEqual({
      host: 'shop.example',
      'x-kept': '2',
      'x-forwarded-for': '10.0.0.1, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'shop.example',
    });
    expect(url).toBe('http://shop.example/headers?q=1');
  });

  it('passes on the headers of this request, whatever those before it on its connection had', async () => {
    const sent = ['a', 'a', 'b', null];
    const requests = sent.map((value, at) => {
      const kept = value === null ? '' : `X-Kept: ${value}\r\n`;
      const last = at === sent.length - 1 ? 'Connection: close\r\n' : '';
      return `GET /probe/headers HTTP/1.1\r\nHost: shop.example\r\n${kept}${last}\r\n`;
    });
    const answers = (await exchange(requests.join(''))).match(/\{"headers".*?\}/g) ?? [];
    const seen = answers.map((text) => new Map((JSON.parse(text) as { headers: [string, string][] }).headers));
    expect(seen.map((headers) => headers.get('x-kept') ?? null)).toEqual(sent);
    expect(new Set(seen.map((headers) => headers.get('x-forwarded-for')))).toEqual(new Set(['127.0.0.1']));
  });

  it('passes answers on: repeated headers, no body, HEAD; the release is the node’s to name', async () => {
    const cookies = await fetch(`${node.address}/probe/cookies`);
    expect(cookies.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(cookies.headers.get('x-hotswap-module')).toBe('probe@1.0.0');
    expect(cookies.headers.get('content-length')).toBe('0');
    expect((await fetch(`${node.address}/probe/`, { method: 'DELETE' })).status).toBe(204);
    const head = await fetch(`${node.address}/probe/`, { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
  });

  it('streams both ways', async () => {
    const body = Buffer.from(Array.from({ length: 700_000 }, (_, index) => index % 251));
    const echo = await fetch(`${node.address}/probe/echo`, { method: 'POST', body });
    expect(Buffer.from(await echo.arrayBuffer()).equals(body)).toBe(true);

    const ticks = await fetch(`${node.address}/probe/ticks`);
    const reader = ticks.body!.getReader();
    expect(Buffer.from((await reader.read()).value).toString()).toBe('tick 0\n');
    expect((await fetch(`${node.address}/probe/go-on`)).status).toBe(200);
    let rest = '';
    for (let next = await reader.read(); !next.done; next = await reader.read())
      rest += Buffer.from(next.value).toString();
    expect(rest).toBe('tick 1\ntick 2\n');
  });

  it('breaks the connection off when a module fails midway', async () => {
    const response = await fetch(`${node.address}/probe/breaks`);
    expect(response.status).toBe(200);
    expect((await fetch(`${node.address}/probe/go-on`)).status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  it('tells the module when its client has gone', async () => {
    const before = await aborts();
    const call = request(`${node.address}/probe/wait`).on('error', () => undefined);
    call.end();
    const waits = async () => ((await (await fetch(`${node.address}/probe/waits`)).json()) as { waits: number }).waits;
    await waitFor('the request has begun', async () => (await waits()) === 1);
    call.destroy();
    await waitFor('the module has seen it', async () => (await aborts()) > before);
  });

  it('tells the module when its client has gone in the middle of an upload: what it reads breaks off', async () => {
    const before = await aborts();
    const uploads = async () =>
      (await (await fetch(`${node.address}/probe/uploads`)).json()) as { uploads: number; broken: string | null };
    const call = request(`${node.address}/probe/upload`, { method: 'POST', headers: { 'content-length': '1000000' } });
    call.on('error', () => undefined).write(Buffer.alloc(300_000));
    await waitFor('the upload has begun', async () => (await uploads()).uploads === 1);
    call.destroy();
    await waitFor('the module has seen it', async () => (await aborts()) > before);
    await waitFor('its reading has failed', async () => (await uploads()).broken === 'AbortError');
    expect(await (await fetch(`${node.address}/probe/`)).text()).toBe('here');
  });
});

describe("the node's port, to clients that are idle for a second,", () => {
  let fixture: Fixture;
  let node: NodeProcess;

  beforeAll(async () => {
    fixture = await Fixture.create();
    const one = await fixture.publish('probe', '1.0.0', probe, { manifest: { limits: { inFlight: 4 } } });
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    node = await fixture.startNode({ HOTSWAP_CLIENT_IDLE_SECONDS: '1' });
    await node.ready();
  });
  afterAll(() => fixture.close());

  it('says 408 request-timeout for who stops in the middle of a request, and the place in flight is free again', async () => {
    const calls = Array.from({ length: 4 }, () => {
      const call = request(`${node.address}/probe/read`, { method: 'POST', headers: { 'content-length': '100' } });
      call.on('error', () => undefined).write('half of it');
      return call;
    });
    const responses = (await Promise.all(calls.map((call) => once(call, 'response')))) as [IncomingMessage][];
    for (const [response] of responses) {
      expect(response.statusCode).toBe(408);
      expect(JSON.parse(await text(response))).toMatchObject({ code: 'request-timeout', instance: '/probe/read' });
    }
    for (const call of calls) call.destroy();
    expect((await fetch(`${node.address}/probe/`)).status).toBe(200);
  });

  it('hangs up on who takes nothing of a streamed answer, and the module stops', async () => {
    const before = await abortsOf(node);
    const calls = Array.from({ length: 3 }, () =>
      request(`${node.address}/probe/flood`)
        .on('error', () => undefined)
        .end(),
    );
    // Whoever does not read a response stops its connection.
    await Promise.all(calls.map((call) => once(call, 'response')));
    await waitFor('the module has stopped', async () => (await abortsOf(node)) === before + 3);
    for (const call of calls) call.destroy();
  });

  it.each(['/large', '/many'])('hangs up on who takes nothing of answers that are complete: %s', async (path) => {
    // Nobody listens for data: it is not read.
    const socket = connect(node.hostAndPort).on('error', () => undefined);
    const closed = new Promise<true>((resolve) => socket.on('close', () => resolve(true)));
    const isClosed = () => Promise.race([closed, delay(5, false)]);
    // Requests in a row: their answers together are more than the system keeps for a client.
    while (!(await isClosed())) socket.write(`GET /probe${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect((await fetch(`${node.address}/probe/`)).status).toBe(200);
  });

  it.each(['/large', '/many'])('keeps a connection that rests after an answer: %s', async (path) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (at: string) => {
      const call = request(`${node.address}/probe${at}`, { agent }).end();
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      return { bytes: (await text(response)).length, isReused: call.reusedSocket };
    };
    expect((await ask(path)).bytes).toBe(60_000);
    await delay(1500);
    expect(await ask('/')).toEqual({ bytes: 4, isReused: true });
    agent.destroy();
  });
});
