import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import type { ReleaseSpec } from '@hotswap/agent-protocol';
import { defaultShape } from '../src/enclosure.js';
import { encloseIn, LoadError, type Enclosure, type ModuleHostOptions, type Shape } from '../src/index.js';
import { MemoryBudget } from '../src/memory-budget.js';
import { Spares } from '../src/spares.js';
import { HostFixture, isAlive, plainModule } from './host-fixture.js';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

let fixture: HostFixture;
afterEach(() => fixture.close());

const directory = mkdtempSync(join(tmpdir(), 'hotswap-spares-'));
const started: { shape: Shape; enclosure: Enclosure; isUsed: boolean }[] = [];

/** A host whose enclosures, real ones, are noted as they are made. */
function open(options: Partial<ModuleHostOptions> = {}): void {
  started.length = 0;
  const enclose = encloseIn(directory);
  fixture = new HostFixture(
    { spareSeconds: 0.05 },
    {
      enclose: (shape) => {
        const enclosure = enclose(shape);
        const furnish = enclosure.furnish.bind(enclosure);
        const entry = { shape, enclosure, isUsed: false };
        enclosure.furnish = (packageDirectory) => {
          entry.isUsed = true;
          return furnish(packageDirectory);
        };
        started.push(entry);
        return enclosure;
      },
      ...options,
    },
  );
}

/** Waits for a spare with so large a heap. */
async function spare(memoryMiB: number) {
  const found = () => started.find(({ shape, isUsed }) => shape.memoryMiB === memoryMiB && !isUsed);
  await fixture.until('a spare is there', () => found() !== undefined);
  return found()!;
}

const swap = (spec: ReleaseSpec) => {
  const { lastSwap } = fixture.report(spec.module);
  expect(lastSwap?.release).toBe(spec.digest);
  return lastSwap!;
};

describe('A spare', () => {
  it.each(['process', 'thread'] as const)(
    '%s is what the next release of its shape is loaded into',
    async (isolation) => {
      open();
      const releases = ['1.0.0', '2.0.0', '3.0.0'].map((version) =>
        fixture.release(`shop@${version}`, plainModule, { isolation }),
      );
      await fixture.reach(releases[0]!);
      for (const release of releases.slice(1)) {
        const { shape, enclosure } = await spare(64);
        expect(shape).toMatchObject({ isolation, memoryMiB: 64 });
        await fixture.reach(release);
        expect(swap(release)).toMatchObject({ began: 'spare' });
        expect(fixture.instance(release)).toMatchObject({ isSpare: true, pid: enclosure.pid });
        expect(fixture.instance(release)?.phaseSeconds).toEqual({
          load: expect.any(Number),
          start: expect.any(Number),
        });
        expect((await fixture.json('shop')).version).toBe(release.version);
      }
    },
  );

  it('has the permissions of its shape and no other: one that asks for more gets a process of its own', async () => {
    open();
    await spare(128);
    const source = `import { readFileSync } from 'node:fs';
      export default { fetch(request, env) { try { return new Response(readFileSync(env.file)); } catch (error) { return new Response(error.code); } } };`;
    const configuration = { file: '/etc/hostname' };
    const limits = { memoryMiB: 128 };
    const one = fixture.release('shop@1.0.0', source, { limits }, configuration);
    await fixture.reach(one);
    expect(swap(one).began).toBe('spare');
    expect((await fixture.get('shop')).text).toBe('ERR_ACCESS_DENIED');
    const permissions = { fileRead: ['/etc/hostname'] };
    const two = fixture.release('shop@2.0.0', source, { limits, permissions }, configuration);
    await spare(128);
    await fixture.reach(two);
    expect(swap(two).began).toBe('new');
    expect((await fixture.get('shop')).text).not.toBe('ERR_ACCESS_DENIED');
  });

  it('is taken whatever the order in which a manifest lists its permissions', async () => {
    open();
    await spare(128);
    const permissions = { childProcess: false, fileWrite: [], fileRead: [], network: false };
    const one = fixture.release('shop@1.0.0', plainModule, { limits: { memoryMiB: 128 } });
    Object.assign(fixture.manifestOf(one), { permissions });
    await fixture.reach(one);
    expect(swap(one).began).toBe('spare');
  });

  it('that has ended unnoticed costs no release its name: another process is started, in the memory of the first', async () => {
    open({ memoryBytesMax: 2 * instanceMiB * 2 ** 20 });
    const [one, two] = [fixture.release('shop@1.0.0'), fixture.release('shop@2.0.0')];
    await fixture.reach(one);
    const { enclosure } = await spare(64);
    // Stopped, so that its end is not told before it is asked; then ended while it is asked.
    process.kill(enclosure.pid!, 'SIGSTOP');
    fixture.apply(two);
    await fixture.until('the spare is taken', () => fixture.instance(two)?.isSpare === true);
    process.kill(enclosure.pid!, 'SIGKILL');
    await fixture.until('the release serves', () => fixture.report('shop').active === two.digest);
    expect(fixture.instance(two)).toMatchObject({ crashes: 0, failureKind: null });
    expect(fixture.instance(two)!.pid).not.toBe(enclosure.pid);
    expect(fixture.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });

  it('ends with its host, and leaves no folder', async () => {
    open();
    await fixture.reach(fixture.release('shop@1.0.0'));
    await spare(64);
    const pids = started.map(({ enclosure }) => enclosure.pid!);
    await fixture.host.close(1);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is not kept where none is wanted', async () => {
    open({ spareCountMax: 0 });
    const [one, two] = [fixture.release('shop@1.0.0'), fixture.release('shop@2.0.0')];
    await fixture.reach(one);
    await fixture.reach(two);
    expect(swap(two).began).toBe('new');
    expect(started.length).toBe(2);
  });
});

// An instance of the fixture's modules is kept 64 MiB for, and 48 for Node itself.
const instanceMiB = 112;

describe('A process that can not be made', () => {
  it('is not tried again as a spare before somebody asks, though memory for another is short', async () => {
    fixture = new HostFixture();
    let tries = 0;
    const enclose = () => {
      tries++;
      throw new Error('too many open files');
    };
    const budget: MemoryBudget = new MemoryBudget(100, () => spares.refillWhereShort());
    const spares = new Spares(enclose, budget, 2, 0.01, ({ memoryMiB }) => memoryMiB, {
      ...defaultShape,
      memoryMiB: 50,
    });
    expect(spares.take({ ...defaultShape, memoryMiB: 200 })).toBe(null);
    await fixture.until('one was tried', () => tries > 0);
    await pause(100);
    expect(tries).toBe(1);
    await spares.close();
  });

  it('keeps no memory taken', async () => {
    let tries = 0;
    const enclose = encloseIn(directory);
    fixture = new HostFixture(
      {},
      {
        spareCountMax: 0,
        enclose: (shape) => {
          if (++tries <= 2) throw new Error('too many open files');
          return enclose(shape);
        },
      },
    );
    const one = fixture.release('shop@1.0.0');
    fixture.apply(one);
    await fixture.until('it serves', () => fixture.report('shop').active === one.digest);
    expect(tries).toBe(3);
    const told = fixture.logs.map(({ message }) => message).filter((message) => /^Not ready/.test(message));
    expect(told).toEqual(Array(2).fill(expect.stringMatching(/^Not ready \(load\): too many open files/)));
    const none = { warm: 0, spare: 0, twin: 0, candidate: 0, active: 0, leaving: 0 };
    expect(fixture.host.memory().taken).toEqual({ ...none, active: instanceMiB * 2 ** 20 });
    await fixture.reach(null, { module: 'shop' });
    await fixture.until('it has ended', () => fixture.host.reports().every(({ instances }) => instances.length === 0));
    expect(fixture.host.memory().taken).toEqual(none);
  });
});

describe('A node whose memory is all taken', () => {
  it('holds a release with the numbers, serves on, and takes it once there is room', async () => {
    open({ memoryBytesMax: 2 * instanceMiB * 2 ** 20, spareCountMax: 0 });
    const [one, two, till] = [
      fixture.release('shop@1.0.0'),
      fixture.release('shop@2.0.0'),
      fixture.release('till@1.0.0'),
    ];
    await fixture.reach(one);
    await fixture.reach(till);
    await fixture.reach(one, { candidate: two, candidatePercent: 50 });
    expect(fixture.instance(two)).toMatchObject({
      state: 'Failed',
      failureKind: 'memory',
      error: "No room for shop@2.0.0 as candidate: it needs 112 MiB; of the node's 224 MiB 224 are taken (active 224).",
    });
    expect((await fixture.get('shop')).release).toBe('shop@1.0.0');
    await fixture.reach(null, { module: 'till' });
    await fixture.until('the candidate is ready', () => fixture.report('shop').candidate === two.digest);
  });

  it('has its spare back once there is memory for it again', async () => {
    open({ memoryBytesMax: 2 * instanceMiB * 2 ** 20 });
    const taken = () => fixture.host.memory().taken;
    await fixture.reach(fixture.release('shop@1.0.0'));
    await fixture.until('a spare is there', () => taken().spare > 0);
    await fixture.reach(fixture.release('till@1.0.0'));
    expect(taken().spare).toBe(0);
    await fixture.reach(null, { module: 'till' });
    await fixture.until('a spare is there again', () => taken().spare > 0);
  });

  it('ends no release that has to serve until another does, though it is to be warm then', async () => {
    open({ memoryBytesMax: (2 * instanceMiB - 1) * 2 ** 20, spareCountMax: 0 });
    const folder = mkdtempSync(join(tmpdir(), 'hotswap-gate-'));
    const gate = join(folder, 'open');
    const source = `import { existsSync } from 'node:fs';
      export default {
        async start(env) { while (!existsSync(env.gate)) await new Promise((resolve) => setTimeout(resolve, 20)); },
        fetch(request, env) { if (request.url.endsWith('/exit')) process.exit(1); return new Response('here'); } };`;
    const one = fixture.release('shop@1.0.0', source, { permissions: { fileRead: [folder] } }, { gate });
    const two = fixture.release('shop@2.0.0');
    writeFileSync(gate, '');
    await fixture.reach(one);
    fixture.refusals.set(two.digest, new LoadError('fetch', 'not there yet'));
    await fixture.reach(two, { warm: [one] });
    rmSync(gate);
    await fixture.get('shop', '/exit').catch(() => undefined);
    await fixture.until(
      'it starts again',
      () => fixture.instance(one)?.crashes === 1 && fixture.instance(one)?.pid !== null,
    );
    fixture.refusals.clear();
    await fixture.until('there is no room for the other', () => fixture.instance(two)?.failureKind === 'memory');
    writeFileSync(gate, '');
    await fixture.until('it serves again', () => fixture.report('shop').active === one.digest);
    expect(fixture.host.memory().taken).toMatchObject({ active: instanceMiB * 2 ** 20, leaving: 0 });
    rmSync(folder, { recursive: true });
  });

  describe('that somebody is still leaving', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hotswap-gate-'));
    const gate = join(folder, 'open');
    // Longer than a test may take: none of them is about what is cut.
    const policy = { warmSeconds: 900, drainSeconds: 600 };
    afterEach(() => rmSync(gate, { force: true }));
    afterAll(() => rmSync(folder, { recursive: true }));

    /** A warm release that answers a request when the gate is there, the active one of the same module, and room for a third but for a bit. */
    async function reachWarm() {
      open({ memoryBytesMax: (3 * instanceMiB - 1) * 2 ** 20, spareCountMax: 0 });
      const source = `import { existsSync } from 'node:fs';
        export default { async fetch(request, env) { while (!existsSync(env.gate)) await new Promise((resolve) => setTimeout(resolve, 20)); return new Response('at last'); } };`;
      const one = fixture.release('shop@1.0.0', source, { permissions: { fileRead: [folder] } }, { gate });
      const two = fixture.release('shop@2.0.0');
      await fixture.reach(one);
      const slow = fixture.get('shop');
      await fixture.reach(two, { warm: [one], policy });
      return { one, two, slow };
    }

    it('lets no more in where users have a release that answers', async () => {
      const { one, two, slow } = await reachWarm();
      const three = fixture.release('shop@3.0.0');
      fixture.apply(three, { warm: [one], policy });
      await fixture.until('the warm one leaves', () => fixture.host.memory().taken.leaving > 0);
      await pause(200);
      expect(fixture.instance(three)).toMatchObject({ pid: null });
      expect(fixture.instance(two)).toMatchObject({ state: 'Active' });
      expect((await fixture.get('shop')).release).toBe('shop@2.0.0');
      writeFileSync(gate, '');
      expect((await slow).text).toBe('at last');
      await fixture.until('the next one serves', () => fixture.report('shop').active === three.digest);
    });

    it('lets in what nobody waited for before, once users do', async () => {
      const { one, two, slow } = await reachWarm();
      const [broken, till] = [fixture.release('till@1.0.0'), fixture.release('till@2.0.0')];
      fixture.refusals.set(broken.digest, new LoadError('digest', 'not what was signed'));
      fixture.apply(broken, { candidate: till });
      await fixture.until('the warm one leaves', () => fixture.host.memory().taken.leaving > 0);
      await pause(200);
      expect(fixture.instance(till)).toMatchObject({ pid: null });
      fixture.apply(till);
      await fixture.until('it serves', () => fixture.report('till').active === till.digest);
      expect(fixture.instance(one)).toMatchObject({ state: 'Draining' });
      expect(fixture.instance(two)).toMatchObject({ state: 'Active' });
      writeFileSync(gate, '');
      expect((await slow).text).toBe('at last');
    });
  });

  it('ends what is warm, then the spare, then the twin, for a candidate', async () => {
    open({ memoryBytesMax: (5 * instanceMiB - 1) * 2 ** 20 });
    const [one, two, three] = ['1.0.0', '2.0.0', '3.0.0'].map((version) => fixture.release(`shop@${version}`)) as [
      ReleaseSpec,
      ReleaseSpec,
      ReleaseSpec,
    ];
    await fixture.reach(one);
    await fixture.reach(two, { warm: [one] });
    await fixture.reach(two, { candidate: three, candidatePercent: 10, warm: [one], twin: true });
    await fixture.until('twin and spare are there', () => {
      const { taken } = fixture.host.memory();
      return fixture.report('shop').twin === true && taken.spare > 0;
    });
    expect(fixture.instance(one)).toMatchObject({ state: 'Warm' });

    const neighbour = (name: string) => fixture.release(`${name}@1.0.0`);
    await fixture.reach(neighbour('till'));
    await fixture.until('the warm one has gone', () => fixture.instance(one) === undefined);
    expect(fixture.report('shop').twin).toBe(true);
    await fixture.reach(neighbour('cart'));
    const twin = () => fixture.report('shop').instances.find((instance) => instance.twin);
    await fixture.until('the twin has gone', () => twin()?.state === 'Failed');
    expect(twin()).toMatchObject({ failureKind: 'memory' });
    expect(fixture.report('shop').twin).toBeUndefined();
    expect(fixture.report('shop')).toMatchObject({ active: two.digest, candidate: three.digest });
    const told = fixture.logs.map(({ message }) => message).filter((message) => /^shop\S+ had to go/.test(message));
    expect(told).toEqual([
      'shop@1.0.0 had to go: its memory is needed for till@1.0.0.',
      'shop@2.0.0 had to go: its memory is needed for cart@1.0.0.',
    ]);
  });
});
