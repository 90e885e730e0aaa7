import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { bodyOf, HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

/** Counts writes by client; keeps as much ballast as it is configured to. What is put into its functions may look at how often they were called. */
const counterWith = (inSnapshot: string, inRestore: string) => `
let counts = {}; let ballast = []; let turn = 0; let begun = 0; let ended = 0;
export default {
  async start(env) { ballast = Array.from({ length: env.ballast ?? 0 }, (_, n) => ({ n, text: 'entry ' + n })); },
  activate() { begun++; },
  async deactivate() { ended++; },
  async fetch(request, env) {
    if (request.method === 'POST') {
      const { client } = await request.json();
      counts[client] = (counts[client] ?? 0) + 1;
      return Response.json({ count: counts[client] });
    }
    return Response.json({ version: env.version, counts, entries: ballast.length, begun, ended, pid: process.pid });
  },
  async snapshot() { turn++; ${inSnapshot} return { counts, ballast }; },
  async restore(state) { turn++; ${inRestore} ({ counts, ballast } = state); },
};`;
const counter = counterWith('', '');
const entries = 40_000;
const state = { handoverSeconds: 10 };

const write = async (client: number) => {
  const body = bodyOf(JSON.stringify({ client }));
  return (JSON.parse((await fixture.get('shop', '/', { method: 'POST', body })).text) as { count: number }).count;
};

describe('State', () => {
  it('is not kept in memory with an answer that came along with it', async () => {
    const source = `let answer;
      export default {
        fetch: () => new Promise((resolve) => { answer = () => resolve(new Response(new Uint8Array(20_000))); }),
        async snapshot() { answer?.(); for (let n = 0; n < 20; n++) await null; return new Uint8Array(5_000_000); },
        restore() {} };`;
    await fixture.reach(fixture.release('shop@1.0.0', source, { state }));
    const answer = fixture.send('shop');
    await fixture.reach(fixture.release('shop@2.0.0', source, { state }));
    const { body, release } = await answer;
    expect(release).toBe('shop@1.0.0');
    const bytes = body as Uint8Array;
    expect(bytes.length).toBe(20_000);
    expect(bytes.buffer.byteLength).toBeLessThanOrEqual(2 * bytes.length);
  });

  it.each(['process', 'thread'] as const)(
    'of a megabyte changes hands under load: no write is lost, none doubled (%s)',
    async (isolation) => {
      const releases = ['1.0.0', '2.0.0', '3.0.0', '4.0.0'].map((version) =>
        fixture.release(
          `shop@${version}`,
          counter,
          { isolation, state },
          version === '1.0.0' ? { ballast: entries } : {},
        ),
      );
      await fixture.reach(releases[0]!);
      const written = Array.from({ length: 8 }, () => 0);
      let isOver = false;
      const clients = written.map(async (_, client) => {
        while (!isOver) expect(await write(client)).toBe(++written[client]!);
      });
      for (const release of releases.slice(1)) {
        const before = written.reduce((sum, count) => sum + count, 0);
        await fixture.reach(release);
        await fixture.until('writes go on', () => written.reduce((sum, count) => sum + count, 0) > before + 50);
      }
      isOver = true;
      await Promise.all(clients);
      expect(await fixture.json('shop')).toMatchObject({
        version: '4.0.0',
        counts: Object.fromEntries(written.map((count, client) => [client, count])),
        entries,
      });
      expect(fixture.report('shop').lastSwap).toMatchObject({
        release: releases.at(-1)!.digest,
        from: releases.at(-2)!.digest,
        stateBytes: expect.any(Number),
        drained: 0,
        cut: 0,
      });
      expect(fixture.report('shop').lastSwap!.stateBytes).toBeGreaterThan(2 ** 20);
    },
  );
});

/** What may go wrong, from the first moment of a handover to the last; `turn` counts the calls of that function. What is waited for in vain is so for `seconds`. */
const mishaps: [what: string, inOld: string, inNew: string, error: RegExp, seconds?: number][] = [
  ['the new one refuses what it gets', '', "if (turn === 1) throw new Error('another shape');", /another shape/],
  ['the new one refuses it when it is serious', '', "if (turn === 2) throw new Error('too late');", /too late/],
  ['the new one never has done', '', 'if (turn === 2) await new Promise(() => {});', /restore took longer than 4 s/, 4],
  ['the new one dies over it', '', 'if (turn === 2) process.exit(9);', /Ended unasked 3 times/],
  ['the old one can not tell', "if (turn === 1) throw new Error('no words');", '', /no words/],
  ['the old one can not tell when it is serious', "if (turn === 2) throw new Error('no words');", '', /no words/],
  [
    'the old one has too much',
    'if (turn === 1) return new Uint8Array(65 * 2 ** 20);',
    '',
    /at most 67108864 \(64 MiB\)/,
  ],
  ['the old one never has done', 'if (turn === 2) await new Promise(() => {});', '', /snapshot took longer than/, 4],
];

describe('A handover of a megabyte under load that fails because', () => {
  it.each(mishaps)(
    '%s leaves the old one serving as if nothing had happened',
    async (_, inOld, inNew, error, seconds = 25) => {
      const handover = { state: { handoverSeconds: seconds }, limits: { memoryMiB: 256 } };
      const one = fixture.release('shop@1.0.0', counterWith(inOld, ''), handover, { ballast: entries });
      const two = fixture.release('shop@2.0.0', counterWith('', inNew), handover);
      await fixture.reach(one);
      const { pid } = await fixture.json<{ pid: number }>('shop');
      const written = Array.from({ length: 8 }, () => 0);
      let isOver = false;
      const clients = written.map(async (__, client) => {
        while (!isOver) expect(await write(client)).toBe(++written[client]!);
      });
      fixture.apply(two);
      await fixture.until('it has failed', () => fixture.instance(two)?.state === 'Failed');
      expect(fixture.instance(two)).toMatchObject({
        failureKind: expect.stringMatching(/^(activate|crash-loop)$/),
        error: expect.stringMatching(error),
      });
      await fixture.reach(one);
      await fixture.until('it is active again', () => fixture.instance(one)?.state === 'Active');
      const before = written.reduce((sum, count) => sum + count, 0);
      await fixture.until('writes go on', () => written.reduce((sum, count) => sum + count, 0) > before + 50);
      isOver = true;
      await Promise.all(clients);
      const state = await fixture.json<Record<'begun' | 'ended', number>>('shop');
      expect(state).toMatchObject({
        version: '1.0.0',
        pid,
        entries,
        counts: Object.fromEntries(written.map((count, client) => [client, count])),
      });
      expect(state.begun).toBe(state.ended + 1);
      expect(fixture.instance(one)).toMatchObject({ state: 'Active', crashes: 0 });
    },
  );
});

describe('A request that is held while state changes hands', () => {
  it('has its deadline, and ends when its client leaves; both make room for another', async () => {
    const handover = { state: { handoverSeconds: 8 }, limits: { requestSeconds: 3, inFlight: 2 } };
    const one = fixture.release('shop@1.0.0', counter, handover);
    const endless = "if (turn === 2) { console.log('at it'); await new Promise(() => {}); }";
    const two = fixture.release('shop@2.0.0', counterWith('', endless), handover);
    await fixture.reach(one);
    fixture.apply(two);
    await fixture.until('the new one restores for good', () => fixture.logs.some(({ message }) => message === 'at it'));
    const client = new AbortController();
    const [late, left] = [fixture.get('shop'), fixture.get('shop', '/', { signal: client.signal })];
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'overloaded' });
    client.abort(new Error('gone home'));
    await expect(left).rejects.toThrow('gone home');
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'deadline-exceeded', release: 'shop@1.0.0' });
    await expect(late).rejects.toMatchObject({ code: 'deadline-exceeded', release: 'shop@1.0.0' });
    expect(fixture.report('shop').active).toBe(one.digest);
    await fixture.until('it has failed', () => fixture.instance(two)?.state === 'Failed');
    expect((await fixture.get('shop')).release).toBe('shop@1.0.0');
  });
});

describe('A handover of a megabyte under load that the old one does not live to see', () => {
  it.each([
    ['at the rehearsal', 'if (turn === 1) process.exit(9);'],
    ['when it is serious', 'if (turn === 2) process.exit(9);'],
  ])('%s is not held against the new one, which serves without its state', async (_, inOld) => {
    const handover = { state: { handoverSeconds: 5 } };
    const one = fixture.release('shop@1.0.0', counterWith(inOld, ''), handover, { ballast: entries });
    const two = fixture.release('shop@2.0.0', counter, handover);
    await fixture.reach(one);
    let isOver = false;
    let written = 0;
    const clients = Array.from({ length: 8 }, async (__, client) => {
      while (!isOver)
        await write(client).then(
          () => written++,
          // What was in flight in the old one.
          async (error: unknown) => {
            expect(error).toMatchObject({ code: expect.stringMatching(/^module-(failed|not-ready)$/) });
            await pause(5);
          },
        );
    });
    await fixture.reach(two);
    const before = written;
    await fixture.until('writes go on', () => written > before + 50);
    isOver = true;
    await Promise.all(clients);
    expect(fixture.report('shop')).toMatchObject({
      active: two.digest,
      lastSwap: { release: two.digest, from: one.digest, stateBytes: null },
    });
    expect(fixture.instance(two)).toMatchObject({ state: 'Active', crashes: 0, failureKind: null });
    expect(fixture.logs).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        release: 'shop@2.0.0',
        message: expect.stringMatching(/without the state of shop@1\.0\.0/),
      }),
    );
    expect(await fixture.json('shop')).toMatchObject({ version: '2.0.0', begun: 1 });
  });
});

describe('Background work', () => {
  it('has ended in one instance before it begins in another', async () => {
    const source = `export default {
      async activate() { console.log('begins'); },
      async deactivate() { await new Promise((resolve) => setTimeout(resolve, 100)); console.log('ends'); },
      fetch: (request, env) => Response.json({ version: env.version }) };`;
    const releases = ['1.0.0', '2.0.0', '3.0.0'].map((version) => fixture.release(`shop@${version}`, source));
    for (const release of releases) await fixture.reach(release);
    const printed = () => fixture.logs.filter((entry) => entry.source === 'module');
    await fixture.until('all is told', () => printed().length === 5);
    expect(printed().map(({ release, message }) => `${release} ${message}`)).toEqual([
      'shop@1.0.0 begins',
      'shop@1.0.0 ends',
      'shop@2.0.0 begins',
      'shop@2.0.0 ends',
      'shop@3.0.0 begins',
    ]);
  });
});
