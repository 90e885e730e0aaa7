import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { bodyOf, HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

/** Counts writes by client; keeps as much ballast as it is configured to. */
const counter = `
let counts = {}; let ballast = [];
export default {
  async start(env) { ballast = Array.from({ length: env.ballast ?? 0 }, (_, n) => ({ n, text: 'entry ' + n })); },
  async fetch(request, env) {
    if (request.method === 'POST') {
      const { client } = await request.json();
      counts[client] = (counts[client] ?? 0) + 1;
      return Response.json({ count: counts[client] });
    }
    return Response.json({ version: env.version, counts, entries: ballast.length });
  },
  snapshot: () => ({ counts, ballast }),
  restore(state) { ({ counts, ballast } = state); },
};`;
const failing = counter.replace('restore(state) {', "restore(state) { throw new Error('made for another shape');");
const state = { handoverSeconds: 10 };

const write = async (client: number) => {
  const body = bodyOf(JSON.stringify({ client }));
  return (JSON.parse((await fixture.get('shop', '/', { method: 'POST', body })).text) as { count: number }).count;
};

describe('State', () => {
  it('of a megabyte changes hands under load: no write is lost, none doubled', async () => {
    const releases = ['1.0.0', '2.0.0', '3.0.0', '4.0.0'].map((version) =>
      fixture.release(`shop@${version}`, counter, { state }, version === '1.0.0' ? { ballast: 25_000 } : {}),
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
    const { version, counts, entries } = await fixture.json<{ version: string; counts: object; entries: number }>(
      'shop',
    );
    expect(version).toBe('4.0.0');
    expect(counts).toEqual(Object.fromEntries(written.map((count, client) => [client, count])));
    expect(entries).toBe(25_000);
  });

  it("that can't be restored stays where it is, and whoever has it serves on", async () => {
    const one = fixture.release('shop@1.0.0', counter, { state });
    const two = fixture.release('shop@2.0.0', failing, { state });
    await fixture.reach(one);
    expect(await write(1)).toBe(1);
    await fixture.reach(two);
    expect(fixture.instance(two)).toMatchObject({
      state: 'Failed',
      failureKind: 'activate',
      error: expect.stringMatching(/state of shop@1\.0\.0 could not be handed over: made for another shape/),
    });
    expect(await write(1)).toBe(2);
    expect(fixture.report('shop')).toMatchObject({ active: one.digest });
    await fixture.reach(one);
    expect(fixture.instance(one)).toMatchObject({ state: 'Active', crashes: 0 });
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
