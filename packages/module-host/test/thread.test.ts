import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readBody } from '../src/index.js';
import { bodyOf, HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture({ pingSeconds: 0.2, stallSeconds: 4 })));
afterEach(() => fixture.close());

const source = `export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  if (pathname === '/echo') return new Response(request.body);
  if (pathname === '/exit') process.exit(3);
  if (pathname === '/post') { (await import('node:worker_threads')).parentPort.postMessage({ ready: true }); await new Promise(() => {}); }
  if (pathname === '/reject') { Promise.reject(new Error('nobody looks')); await new Promise(() => {}); }
  if (pathname === '/spin') for (;;);
  if (pathname === '/heap') { const all = []; for (;;) all.push({ text: String(all.length) }); }
  return Response.json({ version: env.version, pid: process.pid, env: Object.keys(process.env) });
} };`;
const isolation = 'thread' as const;

describe('An instance in a thread', () => {
  it('serves, swaps and streams as one in a process does', async () => {
    const [one, two] = [
      fixture.release('shop@1.0.0', source, { isolation }),
      fixture.release('shop@2.0.0', source, { isolation }),
    ];
    await fixture.reach(one);
    expect(await fixture.json('shop')).toEqual({ version: '1.0.0', pid: process.pid, env: [] });
    const body = Buffer.from(Array.from({ length: 500_000 }, (_, index) => index % 251));
    const echo = await fixture.send('shop', '/echo', { method: 'POST', body: bodyOf(body) });
    expect((await readBody(echo)).equals(body)).toBe(true);
    await fixture.reach(two);
    expect(await fixture.json('shop')).toMatchObject({ version: '2.0.0' });
    await fixture.until('the first has ended', () => fixture.report('shop').instances.length === 1);
    await fixture.until('its figures come', () => (fixture.traffic(two)?.rssBytes ?? 0) > 2 ** 20);
  });

  it('that takes more memory than it may before it is ready is ended', async () => {
    const growing = `export default { fetch() {}, async start() {
      for (const all = []; ; await new Promise((resolve) => setTimeout(resolve, 50))) all.push(Buffer.alloc(2 ** 23, 1));
    } };`;
    const shop = fixture.release('shop@1.0.0', growing, { isolation, limits: { memoryMiB: 32 } });
    await fixture.reach(shop);
    expect(fixture.instance(shop)).toMatchObject({
      failureKind: 'start',
      error: expect.stringMatching(/^The thread used \d+ MiB of memory, more than the 160 MiB .+, and was ended\.$/),
    });
  });

  it.each(['/exit', '/post', '/reject', '/spin', '/heap'])('ends alone by %s, and is started again', async (path) => {
    const shop = fixture.release('shop@1.0.0', source, { isolation, limits: { memoryMiB: 32 } });
    const till = fixture.release('till@1.0.0', source);
    fixture.apply(till);
    await fixture.reach(shop);
    let isOver = false;
    const harm = fixture.get('shop', path).finally(() => (isOver = true));
    const failed = expect(harm).rejects.toMatchObject({ code: 'module-failed', release: 'shop@1.0.0' });
    let served = 0;
    for (; !isOver || served < 5; served++) expect((await fixture.get('till')).status).toBe(200);
    await failed;
    await fixture.until('it serves again', () => fixture.instance(shop)?.state === 'Active');
    expect(fixture.instance(shop)).toMatchObject({ crashes: 1 });
    expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
  });
});
