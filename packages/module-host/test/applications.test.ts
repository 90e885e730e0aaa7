import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { buildSync } from 'esbuild';
import { bodyOf, HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

/** As an author bundles it. */
function bundle(contents: string): string {
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    write: false,
  });
  return outputFiles[0]!.text;
}

const applications: Record<string, string> = {
  Hono: `
    import { Hono } from 'hono';
    import { etag } from 'hono/etag';
    import { cors } from 'hono/cors';
    import { compress } from 'hono/compress';
    import { streamText } from 'hono/streaming';
    const app = new Hono();
    app.use(cors());
    app.use('/etag', etag());
    app.use('/compressed', compress({ threshold: 1 }));
    app.get('/hello/:name', (c) => c.text('Hello ' + c.req.param('name')));
    app.get('/query', (c) => c.json(c.req.query()));
    app.post('/json', async (c) => c.json(await c.req.json(), 201));
    app.post('/form', async (c) => c.json(await c.req.parseBody()));
    app.get('/etag', (c) => c.text('tagged'));
    app.get('/compressed', (c) => c.text('x'.repeat(2000)));
    app.get('/stream', (c) => streamText(c, async (stream) => { for (const part of ['a', 'b', 'c']) await stream.write(part); }));
    app.get('/env', (c) => c.text(c.env.version));
    export default app;`,
  'itty-router': `
    import { AutoRouter, cors, json } from 'itty-router';
    const { preflight, corsify } = cors();
    const router = AutoRouter({ before: [preflight], finally: [corsify] });
    router
      .get('/hello/:name', ({ name }) => new Response('Hello ' + name))
      .get('/query', ({ query }) => query)
      .post('/json', async (request) => json(await request.json(), { status: 201 }))
      .post('/form', async (request) => Object.fromEntries(await request.formData()))
      .get('/env', (request, env) => new Response(env.version));
    export default router;`,
  'the plain Workers style': `
    export default { async fetch(request, env, ctx) {
      const url = new URL(request.url);
      const headers = { 'access-control-allow-origin': '*' };
      if (url.pathname.startsWith('/hello/')) return new Response('Hello ' + url.pathname.slice(7), { headers });
      if (url.pathname === '/query') return Response.json(Object.fromEntries(url.searchParams), { headers });
      if (url.pathname === '/json') return new Response(JSON.stringify(await new Request(request).json()), { status: 201, headers });
      if (url.pathname === '/form') return Response.json(Object.fromEntries(await request.formData()), { headers });
      if (url.pathname === '/env') return new Response(env.version, { headers });
      return new Response('Not found', { status: 404 });
    } };`,
};

describe.each(Object.entries(applications))('An application of %s', (_, source) => {
  it('runs unmodified', async () => {
    await fixture.reach(fixture.release('shop@1.0.0', bundle(source)));
    const origin: [string, string][] = [['origin', 'http://elsewhere']];
    const hello = await fixture.get('shop', '/hello/you', { headers: origin });
    expect(hello).toMatchObject({ status: 200, text: 'Hello you' });
    expect(hello.headers).toContainEqual(['access-control-allow-origin', '*']);
    expect(await fixture.json('shop', '/query?a=1&b=x%20y')).toEqual({ a: '1', b: 'x y' });
    const headers: [string, string][] = [['content-type', 'application/json']];
    expect(
      await fixture.get('shop', '/json', { method: 'POST', headers, body: bodyOf('{"a":', '[1]}') }),
    ).toMatchObject({
      status: 201,
      text: '{"a":[1]}',
    });
    const form: [string, string][] = [['content-type', 'application/x-www-form-urlencoded']];
    const posted = await fixture.get('shop', '/form', { method: 'POST', headers: form, body: bodyOf('a=1&b=x+y') });
    expect(JSON.parse(posted.text)).toEqual({ a: '1', b: 'x y' });
    expect((await fixture.get('shop', '/env')).text).toBe('1.0.0');
    expect((await fixture.get('shop', '/nowhere')).status).toBe(404);
  });
});

describe('What Hono adds', () => {
  it('works: entity tags, compression, streams', async () => {
    await fixture.reach(fixture.release('shop@1.0.0', bundle(applications.Hono!)));
    const tagged = await fixture.get('shop', '/etag');
    const tag = tagged.headers.find(([name]) => name === 'etag')![1];
    expect((await fixture.get('shop', '/etag', { headers: [['if-none-match', tag]] })).status).toBe(304);
    const compressed = await fixture.get('shop', '/compressed', { headers: [['accept-encoding', 'gzip']] });
    expect(compressed.headers).toContainEqual(['content-encoding', 'gzip']);
    expect((await fixture.get('shop', '/stream')).text).toBe('abc');
  });
});
