import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HostFixture, isAlive } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture({ pingSeconds: 0.2, stallSeconds: 4 })));
afterEach(() => fixture.close());

const harmful = `import { openSync, readFile } from 'node:fs';
import { lookup } from 'node:dns';
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let isEnough = false;
const harm = {
  '/numbers': () => { const all = []; for (;;) all.push(all.length); },
  '/map': () => { const all = new Map(); for (;;) all.set(all.size, all.size); },
  '/set': () => { const all = new Set(); for (;;) all.add(all.size); },
  '/objects': () => { const all = []; for (;;) all.push({ text: 'x' + all.length }); },
  '/arrays': () => { const all = []; for (;;) all.push([[all.length], [all.length]]); },
  '/json': () => { const all = []; for (;;) all.push(JSON.parse('{"a":[1,2,3],"b":{"c":"d"}}')); },
  '/promises': () => { const all = []; for (;;) all.push(new Promise(() => {})); },
  '/buffers': async () => { for (const all = []; ; await pause(5)) all.push(Buffer.alloc(2 ** 23, 1)); },
  '/strings': () => { const all = []; for (;;) all.push(String(Math.random()).repeat(20)); },
  '/throw': () => { throw new Error('no'); },
  '/rejected': async () => { await null; throw new Error('no'); },
  '/nothing': () => undefined,
  '/never': () => new Promise(() => {}),
  '/stack': () => { const deeper = () => deeper() + 1; return deeper(); },
  '/exit': () => process.exit(0),
  '/abort': () => process.abort(),
  '/throw-later': () => { setTimeout(() => { throw new Error('later'); }); return new Promise(() => {}); },
  '/reject': () => { Promise.reject(new Error('unhandled')); return new Promise(() => {}); },
  '/wasm': () => { const all = []; for (;;) { const memory = new WebAssembly.Memory({ initial: 256 }); new Uint8Array(memory.buffer).fill(1); all.push(memory); if (all.length % 4 === 0) return step(all); } },
  '/spin': () => { for (;;); },
  '/descriptors': async () => { const all = []; try { for (let n = 1; n <= 1e6; n++) { all.push(openSync(new URL(import.meta.url))); if (n % 1000 === 0) await pause(0); } } catch (error) { return new Response(error.code); } return new Response('none'); },
  '/handles': () => { setInterval(() => {}, 10); process.stdin.resume(); process.on('SIGTERM', () => {}); return new Response('kept'); },
  '/background': (ctx) => { ctx.waitUntil(new Promise(() => {})); return new Response('begun'); },
  '/pool': async () => {
    const use = async () => {
      while (!isEnough) await Promise.all([promisify(scrypt)('secret', 'salt', 64), promisify(lookup)('localhost').catch(() => null), promisify(readFile)(new URL(import.meta.url))]);
    };
    await Promise.all(Array.from({ length: 20 }, use));
    return new Response('done');
  },
  '/enough': () => { isEnough = true; return new Response('noted'); },
};
const step = async (all) => { for (;;) { await new Promise((r) => setTimeout(r, 20)); const memory = new WebAssembly.Memory({ initial: 256 }); new Uint8Array(memory.buffer).fill(1); all.push(memory); } };
export default { fetch(request, env, ctx) {
  const what = harm[new URL(request.url).pathname];
  return what ? what(ctx) : Response.json({ version: env.version, pid: process.pid });
} };`;

/** Does the harm while a neighbour is asked again and again, a few times more where that is over soon; every one of the neighbour's answers has to be right. Answers how many came while it lasted. */
async function besideNeighbour(work: () => Promise<void>): Promise<number> {
  let isOver = false;
  let answers = 0;
  const { pid } = await fixture.json<{ pid: number }>('till');
  const neighbour = (async () => {
    while (!isOver || answers < 5) {
      const answer = await fixture.get('till');
      expect([answer.status, (JSON.parse(answer.text) as { pid: number }).pid]).toEqual([200, pid]);
      answers++;
    }
  })();
  let duringWork = 0;
  try {
    await work();
  } finally {
    duringWork = answers;
    isOver = true;
    await neighbour;
  }
  return duringWork;
}

async function reachBoth(limits = {}) {
  const shop = fixture.release('shop@1.0.0', harmful, { limits: { memoryMiB: 48, ...limits } });
  const till = fixture.release('till@1.0.0');
  fixture.apply(till);
  await fixture.reach(shop);
  return { shop, till };
}

describe('A neighbour feels nothing of a module that', () => {
  it.each([
    ...['/numbers', '/map', '/set', '/strings', '/objects', '/arrays', '/json', '/promises', '/buffers', '/wasm'],
    ...['/exit', '/abort', '/throw-later', '/reject', '/spin'],
  ])('ends its instance by %s, and is started again', async (path) => {
    const { shop, till } = await reachBoth();
    const answers = await besideNeighbour(async () => {
      await expect(fixture.get('shop', path)).rejects.toMatchObject({ code: 'module-failed', release: 'shop@1.0.0' });
      await fixture.until('it is started again', () => fixture.instance(shop)?.state === 'Active');
    });
    if (path === '/spin') expect(answers).toBeGreaterThan(0);
    expect(fixture.instance(shop)).toMatchObject({ crashes: 1 });
    expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
    expect(
      fixture.logs.some(
        ({ release, source, message }) =>
          release === 'shop@1.0.0' && source === 'host' && /^The process /.test(message),
      ),
    ).toBe(true);
  });

  it.each([
    ['/stack', 'module-failed'],
    ['/throw', 'module-failed'],
    ['/rejected', 'module-failed'],
    ['/nothing', 'module-failed'],
    ['/never', 'deadline-exceeded'],
  ])('fails one request by %s', async (path, code) => {
    const { shop } = await reachBoth({ requestSeconds: 3 });
    const answers = await besideNeighbour(() => expect(fixture.get('shop', path)).rejects.toMatchObject({ code }));
    if (path === '/never') expect(answers).toBeGreaterThan(0);
    expect((await fixture.get('shop')).status).toBe(200);
    expect(fixture.instance(shop)).toMatchObject({ state: 'Active', crashes: 0 });
  });

  it.each(['/handles', '/background', '/never'])('does not let go of %s when it is replaced', async (path) => {
    const { shop } = await reachBoth();
    const { pid } = await fixture.json('shop');
    const answer = fixture.get('shop', path).catch((error: unknown) => error);
    if (path !== '/never') await answer;
    await besideNeighbour(async () => {
      await fixture.reach(fixture.release('shop@2.0.0', harmful), { policy: { warmSeconds: 0, drainSeconds: 1 } });
      await fixture.until('the old one has ended', () => fixture.instance(shop) === undefined && !isAlive(pid));
    });
    const { cut } = fixture.report('shop').lastSwap!;
    if (path === '/never') expect([cut, await answer]).toMatchObject([1, { code: 'module-failed' }]);
    if (path === '/background')
      expect(fixture.logs.some(({ message }) => /^Work given to waitUntil was cut/.test(message))).toBe(true);
  });

  const fill = 'globalThis.all = Array.from({ length: 30 }, () => Buffer.alloc(2 ** 23, 1));';
  const grow =
    'for (const all = []; ; await new Promise((r) => setTimeout(r, 50))) all.push(Buffer.alloc(2 ** 23, 1));';
  it.each([
    ['load', 'by and by', `${grow} export default { fetch() {} };`],
    ['start', 'by and by', `export default { async start() { ${grow} }, fetch() {} };`],
    ['start', 'and then blocks', `export default { start() { ${fill} for (;;); }, fetch() {} };`],
    ['health', 'at once', `export default { health() { ${fill} return new Promise(() => {}); }, fetch() {} };`],
  ])('uses more memory than it may before it is ready (%s), %s', async (failureKind, _, source) => {
    const till = fixture.release('till@1.0.0');
    await fixture.reach(till);
    const shop = fixture.release('shop@1.0.0', source, { limits: { memoryMiB: 48 }, health: { timeoutSeconds: 30 } });
    await besideNeighbour(() => fixture.reach(shop));
    expect(fixture.instance(shop)).toMatchObject({
      state: 'Failed',
      failureKind,
      error: expect.stringMatching(/^The process used \d+ MiB of memory, more than the 192 MiB .+, and was ended\.$/),
    });
    expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
  });

  it("uses its process' thread pool without end", async () => {
    // Such work takes memory as well, and it is not for that that it may end here.
    const { till } = await reachBoth({ requestSeconds: 120, memoryMiB: 512 });
    let isOver = false;
    const hog = fixture.get('shop', '/pool').finally(() => (isOver = true));
    // What loads a release, in the kernel and in the instance, needs its own pool.
    expect(await besideNeighbour(() => fixture.reach(fixture.release('cart@1.0.0')))).toBeGreaterThan(0);
    expect(fixture.report('cart').active).not.toBeNull();
    expect(isOver).toBe(false);
    await fixture.get('shop', '/enough');
    expect((await hog).text).toBe('done');
    expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
  });

  it('uses up its file descriptors', async () => {
    const { till } = await reachBoth();
    await besideNeighbour(async () => {
      expect((await fixture.get('shop', '/descriptors')).text).toMatch(/EMFILE|none/);
    });
    const another = fixture.release('till@2.0.0');
    await fixture.reach(another);
    expect(fixture.instance(another)).toMatchObject({ state: 'Active' });
    expect(fixture.instance(till)?.crashes ?? 0).toBe(0);
  });
});
