import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { SmokeCheck } from '@hotswap/module-kit';
import fc from 'fast-check';
import { LoadError } from '../src/index.js';
import { HostFixture, isAlive, plainModule } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

const isolations = ['process', 'thread'] as const;

describe('Swapping releases', () => {
  it('serves the active release and says which one it was', async () => {
    const one = fixture.release('shop@1.0.0');
    await fixture.reach(one);
    const answer = await fixture.get('shop');
    expect(answer.status).toBe(200);
    expect(answer.release).toBe('shop@1.0.0');
    expect(JSON.parse(answer.text)).toMatchObject({ version: '1.0.0' });
    expect(fixture.host.routes()).toEqual(['shop']);
    expect(fixture.report('shop')).toMatchObject({ active: one.digest, candidate: null, servingFallback: false });
    expect(fixture.instance(one)).toMatchObject({ state: 'Active', error: null, crashes: 0 });
  });

  it.each(isolations)('loses no request while flipping again and again under load: %s', async (isolation) => {
    const slow = `export default { async fetch(request, env) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
      return Response.json({ version: env.version });
    } };`;
    const releases = ['1.0.0', '2.0.0', '3.0.0', '4.0.0'].map((version) =>
      fixture.release(`shop@${version}`, slow, { isolation }),
    );
    await fixture.reach(releases[0]!);
    const seen = new Map<string, number>();
    let stopped = false;
    const clients = Array.from({ length: 16 }, async () => {
      while (!stopped) {
        const { version } = await fixture.json('shop');
        seen.set(version, (seen.get(version) ?? 0) + 1);
      }
    });
    for (const release of releases.slice(1)) {
      await fixture.reach(release);
      await fixture.until(`${release.version} answered`, () => (seen.get(release.version) ?? 0) > 20);
    }
    stopped = true;
    await Promise.all(clients);
    expect([...seen.keys()]).toEqual(['1.0.0', '2.0.0', '3.0.0', '4.0.0']);
    await fixture.until('the old ones retired', () => fixture.report('shop').instances.length === 1);
    const samples = fixture.host.takeTraffic();
    expect(samples.reduce((sum, sample) => sum + sample.requests, 0)).toBe(
      [...seen.values()].reduce((a, b) => a + b, 0),
    );
    expect(samples.every((sample) => sample.failures === 0 && sample.inFlight === 0)).toBe(true);
  });

  it.each(isolations)(
    'ends where the last assignment says, whatever came before, and answers every request meanwhile: %s',
    async (isolation) => {
      const source = `let active = false; export default {
      async activate() { await new Promise((resolve) => setTimeout(resolve, Math.random() * 30)); active = true; },
      async deactivate() { active = false; await new Promise((resolve) => setTimeout(resolve, Math.random() * 30)); },
      async fetch(request, env) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
        return Response.json({ version: env.version, active });
      } };`;
      const releases = ['1.0.0', '2.0.0', '3.0.0'].map((version) =>
        fixture.release(`shop@${version}`, source, { isolation }),
      );
      await fixture.reach(releases[0]!);
      let stopped = false;
      let answered = 0;
      const clients = Array.from({ length: 8 }, async () => {
        for (; !stopped; answered++) expect((await fixture.get('shop')).status).toBe(200);
      });
      const pids = new Set<number>();
      const any = fc.constantFrom(...releases);
      const maybe = fc.option(any);
      const percent = fc.integer({ min: 0, max: 100 });
      const milliseconds = fc.integer({ min: 0, max: 120 });
      const turns = fc.sample(fc.tuple(any, maybe, percent, maybe, milliseconds), 30);
      for (const [active, candidate, candidatePercent, warm, wait] of turns) {
        fixture.apply(active, { candidate, candidatePercent, warm: warm === null ? [] : [warm] });
        await pause(wait);
        for (const { pid } of fixture.report('shop').instances) if (pid !== null) pids.add(pid);
      }
      await fixture.reach(releases[1]!, { warm: [releases[2]!] });
      await fixture.until('the others retired', () => fixture.report('shop').instances.length === 2);
      stopped = true;
      await Promise.all(clients);
      expect(answered).toBeGreaterThan(100);
      expect(await fixture.json('shop')).toEqual({ version: '2.0.0', active: true });
      expect(fixture.instance(releases[2]!)?.state).toMatch(/^(Ready|Warm)$/);
      const kept = fixture.report('shop').instances.map(({ pid }) => pid);
      await fixture.until('their processes ended', () => [...pids].every((pid) => kept.includes(pid) || !isAlive(pid)));
      expect(fixture.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    },
  );

  it('tells a release that is let go while it is activated to end its background work, before it ends', async () => {
    const gate = join(fixture.folder, 'open');
    const source = `import { existsSync } from 'node:fs';
      let gate; export default {
      start(env) { gate = env.gate; },
      async activate() { console.log('activates'); while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 20)); console.log('active'); },
      async deactivate() { await new Promise((resolve) => setTimeout(resolve, 100)); console.log('deactivated'); },
      fetch: (request, env) => Response.json({ version: env.version }) };`;
    const permissions = { fileRead: [fixture.folder] };
    const one = fixture.release('shop@1.0.0');
    const two = fixture.release('shop@2.0.0', source, { permissions }, { gate });
    const printed = () =>
      fixture.logs
        .filter((entry) => entry.source === 'module' && entry.release === 'shop@2.0.0')
        .map(({ message }) => message);
    await fixture.reach(one);
    fixture.apply(two);
    await fixture.until('it is activated', () => printed().length === 1);
    fixture.apply(one);
    writeFileSync(gate, '');
    await fixture.until('settled', () => fixture.host.settled);
    await fixture.until('it has ended', () => fixture.report('shop').instances.length === 1);
    expect(printed()).toEqual(['activates', 'active', 'deactivated']);
    expect(fixture.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    expect(await fixture.json('shop')).toMatchObject({ version: '1.0.0' });
  });

  it('gives the candidate its share of requests, by chance', async () => {
    const one = fixture.release('shop@1.0.0');
    const two = fixture.release('shop@2.0.0');
    await fixture.reach(one, { candidate: two, candidatePercent: 0 });
    expect(fixture.report('shop')).toMatchObject({ candidate: two.digest, candidatePercent: 0 });
    expect(fixture.instance(two)).toMatchObject({ state: 'Ready' });
    const share = async (count: number) => {
      let candidates = 0;
      for (let sent = 0; sent < count; sent += 20)
        for (const { release } of await Promise.all(Array.from({ length: 20 }, () => fixture.get('shop'))))
          if (release === 'shop@2.0.0') candidates++;
      return candidates;
    };
    expect(await share(100)).toBe(0);
    await fixture.reach(one, { candidate: two, candidatePercent: 30 });
    const count = 2000;
    const sigma = Math.sqrt(count * 0.3 * 0.7);
    expect(Math.abs((await share(count)) - count * 0.3)).toBeLessThan(6 * sigma);
    await fixture.reach(one);
    expect(await share(60)).toBe(0);
  });

  it('promotes a candidate without loading it again, and activates it only then', async () => {
    const telling = `let activations = 0; export default {
      activate() { activations++; },
      fetch: (request, env) => Response.json({ version: env.version, activations, pid: process.pid }) };`;
    const one = fixture.release('shop@1.0.0', telling);
    const two = fixture.release('shop@2.0.0', telling);
    await fixture.reach(one, { candidate: two, candidatePercent: 100 });
    const before = await fixture.json('shop');
    expect(before).toMatchObject({ version: '2.0.0', activations: 0 });
    await fixture.reach(two, { warm: [one] });
    expect(await fixture.json('shop')).toEqual({ ...before, activations: 1 });
    expect(fixture.loads).toEqual(['shop@1.0.0', 'shop@2.0.0']);
  });

  it('flips back to a warm release without loading it again', async () => {
    const telling = `const calls = []; export default {
      activate() { calls.push('activate'); }, deactivate() { calls.push('deactivate'); },
      fetch: (request, env) => Response.json({ version: env.version, calls, pid: process.pid }) };`;
    const one = fixture.release('shop@1.0.0', telling);
    const two = fixture.release('shop@2.0.0', telling);
    await fixture.reach(one);
    const { pid } = await fixture.json('shop');
    await fixture.reach(two, { warm: [one] });
    expect(await fixture.json('shop')).toMatchObject({ version: '2.0.0' });
    expect(fixture.instance(one)).toMatchObject({ state: 'Warm', pid });
    await fixture.reach(one, { warm: [two] });
    expect(await fixture.json('shop')).toEqual({
      version: '1.0.0',
      pid,
      calls: ['activate', 'deactivate', 'activate'],
    });
    expect(fixture.loads).toEqual(['shop@1.0.0', 'shop@2.0.0']);
    expect(fixture.instance(two)).toMatchObject({ state: 'Warm' });
  });

  it('retires a warm release when its time is over, and one that is not listed at once', async () => {
    const [one, two, three] = ['1.0.0', '2.0.0', '3.0.0'].map((version) => fixture.release(`shop@${version}`));
    await fixture.reach(one!);
    const { pid } = await fixture.json('shop');
    await fixture.reach(two!, { warm: [one!], policy: { warmSeconds: 1, drainSeconds: 5 } });
    expect(isAlive(pid)).toBe(true);
    await fixture.until('the warm one retired', () => fixture.instance(one!) === undefined);
    await fixture.until('its process ended', () => !isAlive(pid));
    await fixture.reach(three!, { warm: [one!], policy: { warmSeconds: 1, drainSeconds: 5 } });
    await fixture.until('the replaced one retired', () => fixture.instance(two!) === undefined);
    expect(fixture.loads).toEqual(['shop@1.0.0', 'shop@2.0.0', 'shop@3.0.0']);
  });

  it('changes nothing when asked for the same again, and leaves a module without an entry alone', async () => {
    const shop = fixture.release('shop@1.0.0');
    const till = fixture.release('till@1.0.0');
    await fixture.reach(shop);
    const { pid } = await fixture.json('shop');
    await fixture.reach(till);
    await fixture.reach(shop);
    expect((await fixture.json('shop')).pid).toBe(pid);
    expect(fixture.loads).toEqual(['shop@1.0.0', 'till@1.0.0']);
    expect(fixture.host.routes().sort()).toEqual(['shop', 'till']);
  });

  it('takes a module off when told so, and ends its process', async () => {
    await fixture.reach(fixture.release('shop@1.0.0'));
    const { pid } = await fixture.json('shop');
    await fixture.reach(null, { module: 'shop' });
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'no-such-route', release: null });
    await fixture.until('the process ended', () => !isAlive(pid));
    await fixture.until(
      'the last counts taken',
      () => (fixture.host.takeTraffic(), fixture.host.reports().length === 0),
    );
  });

  it('mounts a module at the route of its manifest', async () => {
    await fixture.reach(fixture.release('shop@1.0.0', plainModule, { route: 'store' }));
    expect(fixture.host.routes()).toEqual(['store']);
    expect((await fixture.get('store')).release).toBe('shop@1.0.0');
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'no-such-route' });
  });

  it('ends what does not end in time after a flip, and says how many', async () => {
    const hanging = `export default { fetch: (request, env) => request.url.endsWith('/hang') ? new Promise(() => {}) : new Response('ok') };`;
    const one = fixture.release('shop@1.0.0', hanging);
    await fixture.reach(one);
    const pid = fixture.instance(one)!.pid!;
    const hangs = [fixture.get('shop', '/hang'), fixture.get('shop', '/hang')].map((answer) =>
      answer.catch((error: unknown) => error),
    );
    await fixture.reach(fixture.release('shop@2.0.0'), { policy: { warmSeconds: 1, drainSeconds: 1 } });
    expect(fixture.instance(one)).toMatchObject({ state: 'Draining' });
    expect((await fixture.get('shop')).release).toBe('shop@2.0.0');
    for (const error of await Promise.all(hangs))
      expect(error).toMatchObject({ code: 'module-failed', release: 'shop@1.0.0' });
    expect(
      fixture.logs.some(({ release, message }) => release === 'shop@1.0.0' && message.startsWith('Cut 2 requests')),
    ).toBe(true);
    expect(fixture.traffic(one)).toMatchObject({ requests: 2, failures: 2, inFlight: 0 });
    await fixture.until('the process ended', () => !isAlive(pid));
  });

  it('waits for work given to waitUntil before it stops a replaced release', async () => {
    const working = `export default {
      fetch(request, env, ctx) { ctx.waitUntil(new Promise((resolve) => setTimeout(() => (console.log('work done'), resolve()), 500))); return new Response('ok'); },
      stop() { console.log('stopped'); } };`;
    const one = fixture.release('shop@1.0.0', working);
    await fixture.reach(one);
    await fixture.get('shop');
    await fixture.reach(fixture.release('shop@2.0.0'));
    await fixture.until('retired', () => fixture.instance(one) === undefined);
    const printed = fixture.logs.filter(({ source, release }) => source === 'module' && release === 'shop@1.0.0');
    expect(printed.map(({ message }) => message)).toEqual(['work done', 'stopped']);
  });
});

describe('A candidate that fails when it is promoted', () => {
  it('still answers what it was given', async () => {
    const one = fixture.release('shop@1.0.0');
    const source = `export default { activate() { throw new Error('port taken'); }, async fetch(request, env) {
      await new Promise((resolve) => setTimeout(resolve, 300)); return Response.json({ version: env.version }); } };`;
    const two = fixture.release('shop@2.0.0', source);
    await fixture.reach(one, { candidate: two, candidatePercent: 100 });
    const answers = [fixture.get('shop'), fixture.get('shop')];
    await fixture.reach(two, { candidate: null });
    expect((await fixture.get('shop')).release).toBe('shop@1.0.0');
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ status: 200, release: 'shop@2.0.0' });
  });
});

describe('A release that can not be made ready', () => {
  const cases: { kind: string; source: string; manifest?: object; error: RegExp }[] = [
    { kind: 'load', source: 'export default {};', error: /no function "fetch"/ },
    { kind: 'load', source: 'export default {', error: /Unexpected end/ },
    {
      kind: 'load',
      source: `JSON.stringify = () => '{"functions":null}'; export default { fetch() {} };`,
      error: /no list of the functions/,
    },
    { kind: 'load', source: 'process.exit(7);', error: /exit code 7/ },
    {
      kind: 'start',
      source: `export default { fetch() {}, start() { throw new Error('no pool'); } };`,
      error: /no pool/,
    },
    {
      kind: 'health',
      source: `export default { fetch() {}, async health() { throw new Error('unwell'); } };`,
      error: /unwell/,
    },
    {
      kind: 'health',
      source: `export default { fetch: () => new Response('', { status: 503 }) };`,
      manifest: { health: { path: '/health', timeoutSeconds: 5 } },
      error: /503/,
    },
    {
      kind: 'health',
      source: `export default { fetch() {}, health: () => new Promise(() => {}) };`,
      manifest: { health: { path: null, timeoutSeconds: 0.3 } },
      error: /0\.3 s/,
    },
    {
      kind: 'smoke',
      source: plainModule,
      manifest: { smoke: [{ request: { method: 'GET', path: '/', headers: {} }, expect: { status: 201 } }] },
      error: /answered 200, not 201/,
    },
    {
      kind: 'smoke',
      source: plainModule,
      manifest: {
        smoke: [
          { request: { method: 'GET', path: '/', headers: {} }, expect: { status: 200, json: { version: '9.9.9' } } },
        ],
      },
      error: /"\/version"/,
    },
    {
      kind: 'activate',
      source: `export default { fetch() {}, activate() { throw new Error('port taken'); } };`,
      error: /port taken/,
    },
  ];

  it.each(cases)(
    'is reported as $kind ($error), and the one before goes on serving',
    async ({ kind, source, manifest, error }) => {
      const one = fixture.release('shop@1.0.0');
      const two = fixture.release('shop@2.0.0', source, manifest);
      await fixture.reach(one);
      const { pid } = await fixture.json('shop');
      await fixture.reach(two);
      expect(fixture.report('shop').active).toBe(one.digest);
      expect(fixture.instance(one)).toMatchObject({ state: 'Active' });
      expect(fixture.instance(two)).toMatchObject({
        state: 'Failed',
        failureKind: kind,
        error: expect.stringMatching(error),
      });
      expect(await fixture.json('shop')).toEqual({ version: '1.0.0', pid });
    },
  );

  it('is reported in text that can be kept, whatever its error says', async () => {
    const source = `export default { fetch() {}, start() { throw new Error('no\\0' + '\\ud83d pool ' + '\\u{1f525}'.repeat(2000)); } };`;
    const one = fixture.release('shop@1.0.0', source);
    await fixture.reach(one);
    const { error } = fixture.instance(one)!;
    expect(error).toMatch(/^no\ufffd\ufffd pool (\u{1f525})+\ufffd?…$/u);
    expect(error!.isWellFormed()).toBe(true);
  });

  it('passes smoke requests that are answered as the manifest says', async () => {
    const smoke: SmokeCheck[] = [
      {
        request: { method: 'POST', path: '/x', headers: {}, json: { x: 1 } },
        expect: { status: 200, json: { version: '1.0.0' } },
      },
    ];
    const one = fixture.release('shop@1.0.0', plainModule, { smoke });
    await fixture.reach(one);
    expect(fixture.instance(one)).toMatchObject({ state: 'Active' });
    expect(fixture.traffic(one)?.requests ?? 0).toBe(0);
  });

  it('is tried again, and taken once it works', async () => {
    const one = fixture.release('shop@1.0.0');
    fixture.refusals.set(one.digest, new LoadError('fetch', 'no route to the orchestrator'));
    await fixture.reach(one);
    expect(fixture.instance(one)).toMatchObject({ state: 'Failed', failureKind: 'fetch' });
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'module-not-ready' });
    fixture.refusals.clear();
    await fixture.until('served', () => fixture.report('shop').active === one.digest);
    expect((await fixture.json('shop')).version).toBe('1.0.0');
  });

  it('is replaced by the fallback where nothing served before, until it works', async () => {
    const one = fixture.release('shop@1.0.0');
    const two = fixture.release('shop@2.0.0');
    fixture.refusals.set(two.digest, new LoadError('fetch', 'gone'));
    await fixture.reach(two, { fallback: one });
    expect(fixture.report('shop')).toMatchObject({ active: one.digest, servingFallback: true });
    expect((await fixture.json('shop')).version).toBe('1.0.0');
    fixture.refusals.clear();
    await fixture.until('served', () => fixture.report('shop').active === two.digest);
    expect(fixture.report('shop').servingFallback).toBe(false);
    await fixture.until('the fallback retired', () => fixture.instance(one) === undefined);
  });

  it('is let go when it is not wanted any more, even while it starts', async () => {
    const one = fixture.release('shop@1.0.0');
    const two = fixture.release('shop@2.0.0', `export default { fetch() {}, start: () => new Promise(() => {}) };`);
    await fixture.reach(one);
    fixture.apply(two);
    await fixture.until('it starts', () => fixture.instance(two)?.state === 'Starting');
    const pid = fixture.instance(two)!.pid!;
    await fixture.reach(one);
    await fixture.until('the process ended', () => !isAlive(pid));
    expect(fixture.instance(two)).toBeUndefined();
    expect((await fixture.json('shop')).version).toBe('1.0.0');
  });
});
