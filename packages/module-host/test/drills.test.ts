import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture({ pingSeconds: 0.2, stallSeconds: 2 })));
afterEach(() => fixture.close());

const harmful = `import { openSync } from 'node:fs';
const harm = {
  '/numbers': () => { const all = []; for (;;) all.push(all.length); },
  '/map': () => { const all = new Map(); for (;;) all.set(all.size, all.size); },
  '/set': () => { const all = new Set(); for (;;) all.add(all.size); },
  '/strings': () => { const all = []; for (;;) all.push(String(Math.random()).repeat(20)); },
  '/stack': () => { const deeper = () => deeper() + 1; return deeper(); },
  '/exit': () => process.exit(0),
  '/abort': () => process.abort(),
  '/throw-later': () => { setTimeout(() => { throw new Error('later'); }); return new Promise(() => {}); },
  '/reject': () => { Promise.reject(new Error('unhandled')); return new Promise(() => {}); },
  '/wasm': () => { const all = []; for (;;) { const memory = new WebAssembly.Memory({ initial: 256 }); new Uint8Array(memory.buffer).fill(1); all.push(memory); if (all.length % 4 === 0) return step(all); } },
  '/spin': () => { for (;;); },
  '/descriptors': () => { const all = []; try { for (let n = 0; n < 1e6; n++) all.push(openSync(new URL(import.meta.url))); } catch (error) { return new Response(error.code); } return new Response('none'); },
};
const step = async (all) => { for (;;) { await new Promise((r) => setTimeout(r, 20)); const memory = new WebAssembly.Memory({ initial: 256 }); new Uint8Array(memory.buffer).fill(1); all.push(memory); } };
export default { fetch(request, env) {
  const what = harm[new URL(request.url).pathname];
  return what ? what() : Response.json({ version: env.version, pid: process.pid });
} };`;

/** Does the harm while a neighbour is asked again and again; every one of the neighbour's answers has to be right. */
async function besideNeighbour(work: () => Promise<void>): Promise<number> {
  let isOver = false;
  let answers = 0;
  const { pid } = await fixture.json<{ pid: number }>('till');
  const neighbour = (async () => {
    while (!isOver) {
      const answer = await fixture.get('till');
      expect([answer.status, (JSON.parse(answer.text) as { pid: number }).pid]).toEqual([200, pid]);
      answers++;
    }
  })();
  await work();
  isOver = true;
  await neighbour;
  return answers;
}

async function reachBoth(limits = {}) {
  const shop = fixture.release('shop@1.0.0', harmful, { limits: { memoryMiB: 48, ...limits } });
  const till = fixture.release('till@1.0.0');
  fixture.apply(till);
  await fixture.reach(shop);
  return { shop, till };
}

describe('A neighbour feels nothing of a module that', () => {
  it.each(['/numbers', '/map', '/set', '/strings', '/exit', '/abort', '/throw-later', '/reject', '/wasm', '/spin'])(
    'ends its instance by %s',
    async (path) => {
      const { shop, till } = await reachBoth();
      const answers = await besideNeighbour(async () => {
        await expect(fixture.get('shop', path)).rejects.toMatchObject({ code: 'module-failed', release: 'shop@1.0.0' });
        await fixture.until('it is started again', () => fixture.instance(shop)?.state === 'Active');
      });
      expect(answers).toBeGreaterThan(5);
      expect(fixture.instance(shop)).toMatchObject({ crashes: 1 });
      expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
      expect(
        fixture.logs.some(
          ({ release, source, message }) =>
            release === 'shop@1.0.0' && source === 'host' && /^The process /.test(message),
        ),
      ).toBe(true);
    },
  );

  it('overflows its stack, which fails that request alone', async () => {
    const { shop } = await reachBoth();
    await besideNeighbour(() => expect(fixture.get('shop', '/stack')).rejects.toMatchObject({ code: 'module-failed' }));
    expect(fixture.instance(shop)).toMatchObject({ state: 'Active', crashes: 0 });
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
