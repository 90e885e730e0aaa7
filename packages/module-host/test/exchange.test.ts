import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ReleaseSpec } from '@hotswap/agent-protocol';
import { readBody, type HostResponse } from '../src/index.js';
import { bodyOf, HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

const echo = `export default { async fetch(request, env, ctx) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case '/echo': return new Response(request.body, { headers: { 'x-method': request.method, 'x-header': request.headers.get('x-header') ?? '' } });
    case '/json': return Response.json({ got: await request.json() });
    case '/cookies': { const headers = new Headers(); headers.append('set-cookie', 'a=1'); headers.append('set-cookie', 'b=2'); return new Response('ok', { headers }); }
    case '/empty': return new Response(null, { status: 204 });
    case '/teapot': return new Response('short and stout', { status: 418 });
    case '/broken': return new Response('sorry', { status: 500 });
    case '/throw': throw new Error('not today');
    case '/nothing': return 'no response';
    case '/locked': { const response = new Response('ok'); response.body.getReader(); return response; }
    case '/half': return new Response(new ReadableStream({ async start(c) { c.enqueue(new TextEncoder().encode('half')); await new Promise((r) => setTimeout(r, 50)); c.error(new Error('broke off')); } }));
    case '/events': return new Response(new ReadableStream({ start(c) { let n = 0; const t = setInterval(() => { c.enqueue(new TextEncoder().encode('data: ' + n++ + '\\n\\n')); }, 20); this.t = t; }, cancel() { clearInterval(this.t); console.log('cancelled'); } }), { headers: { 'content-type': 'text/event-stream' } });
    case '/endless': return new Response(new ReadableStream({ pull(c) { globalThis.sent = (globalThis.sent ?? 0) + 16384; c.enqueue(new Uint8Array(16384)); } }));
    case '/sent': return Response.json({ sent: globalThis.sent ?? 0 });
    case '/late': ctx.waitUntil(request.text().catch((error) => console.log('cut: ' + error.message))); return new Response('early');
    case '/left-alone': {
      const reading = { text: () => request.text(), json: () => new Request(request).json(), pipe: () => request.body.pipeTo(new WritableStream()) };
      reading[url.searchParams.get('by')]();
      console.log('reading');
      if (url.searchParams.has('answer')) return new Response('early');
      return new Promise(() => {});
    }
    case '/count': return Response.json((globalThis.count = (globalThis.count ?? 0) + 1));
    case '/ignore': return new Response('not read');
    case '/wait': request.signal.addEventListener('abort', () => console.log('aborted: ' + request.signal.reason.message)); return new Promise(() => {});
    case '/smuggle': return new Response('0123456789', { headers: { 'content-length': '4', connection: 'close', 'transfer-encoding': 'chunked' } });
    case '/long-head': return new Response('ok', { headers: { 'x-long': 'x'.repeat(Number(url.searchParams.get('length'))) } });
    case '/short': return new Response('01', { headers: { 'content-length': '4' } });
    case '/exact': return new Response('0123', { headers: { 'content-length': '4', connection: 'close' } });
    case '/slow-reader': { const reader = request.body.getReader(); await reader.read(); globalThis.resume = () => {}; await new Promise((r) => { globalThis.resume = r; }); let bytes = 0; for (let n = await reader.read(); !n.done; n = await reader.read()) bytes += n.value.length; return Response.json({ bytes }); }
    case '/resume': globalThis.resume(); return new Response('ok');
  }
  return new Response('not found', { status: 404 });
} };`;

const iteratorOf = (body: HostResponse['body']) => (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
const printed = (text: string) => fixture.logs.some(({ source, message }) => source === 'module' && message === text);
const one = (limits = {}) => fixture.release('shop@1.0.0', echo, { limits });

describe('An exchange', () => {
  it('carries method, headers and bodies both ways', async () => {
    await fixture.reach(one());
    const answer = await fixture.get('shop', '/echo', {
      method: 'POST',
      headers: [['x-header', 'é']],
      body: bodyOf('one ', 'two'),
    });
    expect(answer).toMatchObject({ status: 200, text: 'one two', release: 'shop@1.0.0' });
    expect(answer.headers).toEqual(
      expect.arrayContaining([
        ['x-method', 'POST'],
        ['x-header', 'é'],
      ]),
    );
    expect((await fixture.get('shop', '/json', { method: 'PUT', body: bodyOf('{"a":1}') })).text).toBe(
      '{"got":{"a":1}}',
    );
    expect((await fixture.get('shop', '/teapot')).status).toBe(418);
  });

  it('keeps what the Web standard says of HEAD, 204, cookies and odd methods', async () => {
    await fixture.reach(one());
    const head = await fixture.send('shop', '/teapot', { method: 'HEAD' });
    expect([head.status, head.body]).toEqual([418, null]);
    const empty = await fixture.send('shop', '/empty');
    expect([empty.status, empty.body]).toEqual([204, null]);
    const { headers } = await fixture.get('shop', '/cookies');
    expect(headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2']);
    await expect(fixture.get('shop', '/', { method: 'TRACE' })).rejects.toMatchObject({ code: 'method-not-allowed' });
  });

  it('carries big binary bodies unchanged', async () => {
    await fixture.reach(one());
    const pieces = Array.from({ length: 40 }, () => randomBytes(100_000));
    const { body } = await fixture.send('shop', '/echo', { method: 'POST', body: bodyOf(...pieces) });
    const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    expect(sha(await readBody({ body }))).toBe(sha(Buffer.concat(pieces)));
  });

  it('sends no faster than the reader reads', async () => {
    await fixture.reach(one());
    const { body } = await fixture.send('shop', '/endless');
    const iterator = iteratorOf(body);
    await iterator.next();
    let before = -1;
    let { sent } = await fixture.json<{ sent: number }>('shop', '/sent');
    while (sent !== before) {
      await pause(100);
      before = sent;
      ({ sent } = await fixture.json<{ sent: number }>('shop', '/sent'));
    }
    expect(sent).toBeLessThan(256 * 1024);
    for (let bytes = 0; bytes < 2 ** 20;) bytes += (await iterator.next()).value!.length;
    expect((await fixture.json<{ sent: number }>('shop', '/sent')).sent).toBeGreaterThanOrEqual(2 ** 20);
    await iterator.return!();
  });

  it('takes a request body no faster than the module reads it', async () => {
    await fixture.reach(one());
    let taken = 0;
    async function* source() {
      for (let piece = 0; piece < 100; piece++) {
        yield new Uint8Array(16384);
        taken += 16384;
      }
    }
    const answer = fixture.get('shop', '/slow-reader', { method: 'POST', body: source() });
    let before = -1;
    while (taken !== before || taken === 0) {
      before = taken;
      await pause(100);
    }
    expect(taken).toBeLessThan(256 * 1024);
    await fixture.get('shop', '/resume');
    expect(JSON.parse((await answer).text)).toEqual({ bytes: 99 * 16384 });
  });

  it('reads on where the module does not care for the body', async () => {
    await fixture.reach(one());
    let isRead = false;
    async function* source() {
      for (let piece = 0; piece < 30; piece++) yield new Uint8Array(16384);
      isRead = true;
    }
    expect((await fixture.get('shop', '/ignore', { method: 'POST', body: source() })).text).toBe('not read');
    await fixture.until('the rest is read', () => isRead);
  });

  it('lets the module read no more of the request once the answer is complete, and tells it so', async () => {
    await fixture.reach(one());
    const client = new AbortController();
    async function* source() {
      yield Buffer.from('half');
      await pause(60_000, undefined, { signal: client.signal });
    }
    expect((await fixture.get('shop', '/late', { method: 'POST', body: source() })).text).toBe('early');
    await fixture.until('it is told', () => printed('cut: The answer ended before the request.'));
    client.abort();
  });

  it.each(
    (['process', 'thread'] as const).flatMap((isolation) =>
      ['text', 'json', 'pipe'].map((by) => [isolation, by] as const),
    ),
  )(
    'does not end a %s that leaves a reading (%s) to itself, when it answers first or the client leaves',
    async (isolation, by) => {
      await fixture.reach(fixture.release('shop@1.0.0', echo, { isolation }));
      expect((await fixture.get('shop', '/count')).text).toBe('1');
      const client = new AbortController();
      async function* source() {
        yield Buffer.from('half');
        await pause(60_000, undefined, { signal: client.signal });
      }
      const post = (path: string) =>
        fixture.get('shop', path, { method: 'POST', body: source(), signal: client.signal });
      expect((await post(`/left-alone?by=${by}&answer`)).text).toBe('early');
      const unanswered = post(`/left-alone?by=${by}`);
      const readings = () => fixture.logs.filter(({ message }) => message === 'reading').length;
      await fixture.until('both are being read', () => readings() === 2);
      client.abort();
      await expect(unanswered).rejects.toThrow();
      // The same instance: whatever the aborted readings did to it has been done by now.
      for (let count = 2; count < 6; count++) expect((await fixture.get('shop', '/count')).text).toBe(`${count}`);
    },
  );

  it('streams events as they happen, and tells the module when the client leaves', async () => {
    const spec = one();
    await fixture.reach(spec);
    const client = new AbortController();
    const { body } = await fixture.send('shop', '/events', { signal: client.signal });
    const iterator = iteratorOf(body);
    const first = (await iterator.next()).value!;
    expect(Buffer.from(first).toString()).toBe('data: 0\n\n');
    // Whoever keeps it, for a slow client, keeps nothing else of what came with it.
    expect(first.buffer.byteLength).toBeLessThanOrEqual(2 * first.length);
    client.abort(new Error('gone'));
    await fixture.until('the source is cancelled', () => printed('cancelled'));
    const second = iteratorOf((await fixture.send('shop', '/events')).body);
    await second.next();
    await second.return!();
    await fixture.until(
      'that one too',
      () => fixture.logs.filter(({ message }) => message === 'cancelled').length === 2,
    );
    expect(fixture.traffic(spec)).toMatchObject({ requests: 2, failures: 0, inFlight: 0 });
  });

  it("is over when the client leaves before the answer, which is nobody's failure", async () => {
    const spec = one();
    await fixture.reach(spec);
    const client = new AbortController();
    const answer = fixture.get('shop', '/wait', { signal: client.signal });
    await fixture.get('shop', '/teapot');
    client.abort(new Error('gone home'));
    await expect(answer).rejects.toThrow('gone home');
    await fixture.until('the module knows', () => printed('aborted: gone home'));
    expect(fixture.traffic(spec)).toMatchObject({ requests: 1, failures: 0, inFlight: 0 });
  });

  it('has a deadline', async () => {
    const spec = one({ requestSeconds: 0.3 });
    await fixture.reach(spec);
    await expect(fixture.get('shop', '/wait')).rejects.toMatchObject({
      code: 'deadline-exceeded',
      release: 'shop@1.0.0',
    });
    await fixture.until('the module knows', () => printed('aborted: shop@1.0.0 did not answer within 0.3 s.'));
    expect(fixture.traffic(spec)).toMatchObject({ requests: 1, failures: 1, inFlight: 0 });
  });

  it('gives a client that is slow to send its own time', async () => {
    await fixture.reach(one({ requestSeconds: 3 }));
    async function* source() {
      for (let piece = 0; piece < 5; piece++) {
        await pause(800);
        yield Buffer.from(`"${piece}`.slice(piece === 0 ? 0 : 1));
      }
      yield Buffer.from('"');
    }
    expect((await fixture.get('shop', '/json', { method: 'POST', body: source() })).text).toBe('{"got":"01234"}');
  });

  it.each(['/json', '/echo'])('does not wait for good for the rest of a request: %s', async (path) => {
    await fixture.close();
    fixture = new HostFixture({ clientIdleSeconds: 0.3 });
    const spec = one();
    await fixture.reach(spec);
    await fixture.until('its figures come', () => fixture.traffic(spec)?.rssBytes != null);
    const client = new AbortController();
    async function* source() {
      yield Buffer.from('"half');
      await pause(60_000, undefined, { signal: client.signal });
    }
    const answer = fixture.get('shop', path, { method: 'POST', body: source() });
    await expect(answer).rejects.toMatchObject({ code: 'request-timeout', release: 'shop@1.0.0' });
    client.abort();
    expect(fixture.traffic(spec)).toMatchObject({ failures: 0, inFlight: 0 });
  });

  it('does not wait for good for the rest of a request beside one whose deadline is far', async () => {
    await fixture.close();
    fixture = new HostFixture({ clientIdleSeconds: 0.3 });
    await fixture.reach(one({ requestSeconds: 600 }));
    const client = new AbortController();
    const waiting = fixture.get('shop', '/wait', { signal: client.signal }).catch(() => 'left');
    // By now its deadline was looked at.
    await pause(500);
    async function* source() {
      yield Buffer.from('"half');
      await pause(60_000, undefined, { signal: client.signal });
    }
    const answer = fixture.get('shop', '/json', { method: 'POST', body: source() });
    await expect(answer).rejects.toMatchObject({ code: 'request-timeout' });
    client.abort(new Error('gone'));
    expect(await waiting).toBe('left');
  });

  it('takes no body beyond the limit, announced or not', async () => {
    const spec = one({ requestBodyMiB: 0.1 });
    await fixture.reach(spec);
    const tooLarge = { code: 'body-too-large', release: 'shop@1.0.0' };
    const headers: [string, string][] = [['content-length', '200000']];
    await expect(fixture.get('shop', '/json', { method: 'POST', headers, body: bodyOf() })).rejects.toMatchObject(
      tooLarge,
    );
    const body = bodyOf(new Uint8Array(60_000), new Uint8Array(60_000));
    await expect(fixture.get('shop', '/json', { method: 'POST', body })).rejects.toMatchObject(tooLarge);
    expect(fixture.traffic(spec)).toMatchObject({ failures: 0, inFlight: 0 });
  });

  it('is refused when its instance has as many as it takes; those of one that was replaced do not count', async () => {
    const [first, second] = ['1.0.0', '2.0.0'].map((version) =>
      fixture.release(`shop@${version}`, echo, { limits: { inFlight: 2 } }),
    ) as [ReleaseSpec, ReleaseSpec];
    await fixture.reach(first);
    const client = new AbortController();
    const fill = () => [1, 2].map(() => fixture.get('shop', '/wait', { signal: client.signal }).catch(() => 'left'));
    const waiting = fill();
    await expect(fixture.get('shop', '/teapot')).rejects.toMatchObject({ code: 'overloaded', release: 'shop@1.0.0' });
    await fixture.reach(second);
    expect((await fixture.get('shop', '/teapot')).status).toBe(418);
    waiting.push(...fill());
    await expect(fixture.get('shop', '/teapot')).rejects.toMatchObject({ code: 'overloaded', release: 'shop@2.0.0' });
    client.abort();
    expect(await Promise.all(waiting)).toEqual(Array(4).fill('left'));
    expect((await fixture.get('shop', '/teapot')).status).toBe(418);
  });

  it.each(['process', 'thread'] as const)(
    'is refused while its %s has more than 16 MiB that it does not take in, and no longer',
    async (isolation) => {
      const gate = join(fixture.folder, 'open');
      const stuck = `import { existsSync } from 'node:fs';
        const nap = new Int32Array(new SharedArrayBuffer(4));
        export default { async fetch(request, env) {
          if (request.url.endsWith('/block')) { console.log('blocked'); setTimeout(() => { while (!existsSync(env.gate)) Atomics.wait(nap, 0, 0, 20); }, 50); }
          return new Response(String((await request.arrayBuffer()).byteLength));
        } };`;
      const permissions = { fileRead: [fixture.folder] };
      const spec = fixture.release('shop@1.0.0', stuck, { isolation, permissions }, { gate });
      await fixture.reach(spec);
      await fixture.get('shop', '/block');
      const post = () => fixture.get('shop', '/', { method: 'POST', body: bodyOf(new Uint8Array(60_000)) });
      const message = 'shop@1.0.0 does not take in what it was sent before.';
      const refused = (error: unknown) => expect(error).toMatchObject({ code: 'overloaded', message });
      const answers: Promise<string>[] = [];
      let isRefused = false;
      while (!isRefused) {
        answers.push(
          post().then(
            ({ text }) => text,
            (error: unknown) => (refused(error), (isRefused = true), 'refused'),
          ),
        );
        await pause(2);
        expect(answers.length).toBeLessThan(1000);
      }
      writeFileSync(gate, '');
      const texts = await Promise.all(answers);
      expect(texts.filter((text) => text === '60000').length).toBeGreaterThan((16 * 2 ** 20) / 65_536);
      expect(texts.filter((text) => text !== '60000' && text !== 'refused')).toEqual([]);
      expect((await post()).text).toBe('60000');
    },
  );

  it.each([
    ['/throw', /not today/],
    ['/nothing', /did not return a Response/],
    ['/locked', /a Response whose body is already used/],
  ])('fails when the module does: %s', async (path, message) => {
    const spec = one();
    await fixture.reach(spec);
    await expect(fixture.get('shop', path)).rejects.toMatchObject({
      code: 'module-failed',
      message: expect.stringMatching(/its log says why/),
    });
    await fixture.until('the log says why', () => fixture.logs.some((entry) => message.test(entry.message)));
    expect(fixture.traffic(spec)).toMatchObject({ requests: 1, failures: 1 });
  });

  it('breaks off with an error when the body does', async () => {
    const spec = one();
    await fixture.reach(spec);
    const { status, body } = await fixture.send('shop', '/half');
    const iterator = iteratorOf(body);
    expect(status).toBe(200);
    expect(Buffer.from((await iterator.next()).value).toString()).toBe('half');
    await expect(iterator.next()).rejects.toThrow('failed while it answered');
    expect(fixture.traffic(spec)).toMatchObject({ requests: 1, failures: 1 });
  });

  it('does not let a module forge where its answer ends', async () => {
    await fixture.reach(one());
    await expect(fixture.get('shop', '/smuggle')).rejects.toMatchObject({ code: 'module-failed' });
    await expect(fixture.get('shop', '/short')).rejects.toMatchObject({ code: 'module-failed' });
    const { text, headers } = await fixture.get('shop', '/exact');
    expect(text).toBe('0123');
    expect(headers.map(([name]) => name)).not.toContain('connection');
  });

  it('takes no head of an answer beyond 64 KiB', async () => {
    await fixture.reach(one());
    expect((await fixture.get('shop', '/long-head?length=60000')).status).toBe(200);
    await expect(fixture.get('shop', '/long-head?length=66000')).rejects.toMatchObject({ code: 'module-failed' });
    expect((await fixture.get('shop', '/teapot')).status).toBe(418);
  });

  it("is counted with its latency, and so are the process' figures", async () => {
    const spec = one();
    await fixture.reach(spec);
    await fixture.get('shop', '/teapot');
    await fixture.get('shop', '/broken');
    await fixture.get('shop', '/nowhere');
    const sample = fixture.traffic(spec)!;
    expect(sample).toMatchObject({
      module: 'shop',
      release: spec.digest,
      version: '1.0.0',
      requests: 3,
      failures: 1,
      inFlight: 0,
    });
    expect(sample.latency.reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(sample.latencySumSeconds).toBeGreaterThan(0);
    let later = fixture.traffic(spec);
    await fixture.until('figures come', () => (later = fixture.traffic(spec) ?? later)?.cpuSeconds != null);
    expect(later).toMatchObject({ requests: 0, failures: 0, latencySumSeconds: 0 });
    expect(later!.rssBytes).toBeGreaterThan(10 * 2 ** 20);
    expect(later!.eventLoopDelaySeconds).toBeGreaterThanOrEqual(0);
  });
});
