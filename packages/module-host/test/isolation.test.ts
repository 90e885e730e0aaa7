import { mkdirSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HostFixture, isAlive, plainModule } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture({ pingSeconds: 0.2, stallSeconds: 3, retrySecondsMax: 0.5 })));
afterEach(() => fixture.close());

const breakable = `
/** A batch (see wire/batch.ts) of one frame of credit for each of the first exchanges. */
function creditOf(text) {
  const ids = [0, 1, 2, 3, 4, 5];
  const batch = Buffer.alloc(12 + ids.length * (16 + text.length));
  batch.writeUInt32LE(batch.length - 4, 0);
  batch.writeUInt32LE(ids.length, 4);
  batch.writeUInt32LE(ids.length * text.length, 8);
  ids.forEach((id, at) => [9, id, text.length, 0].forEach((word, n) => batch.writeUInt32LE(word, 12 + at * 16 + n * 4)));
  batch.write(text.repeat(ids.length), 12 + ids.length * 16);
  return batch;
}
/** A batch with the answer to the second exchange, whole, though it is longer than the credit at its start. */
function longAnswer() {
  const [head, body] = ['200', 'x'.repeat(2 ** 16 + 1)];
  const batch = Buffer.alloc(12 + 16 + head.length + body.length);
  [batch.length - 4, 1, head.length + body.length, 0x705, 1, head.length, body.length].forEach((word, at) => batch.writeUInt32LE(word, at * 4));
  batch.write(head + body, 28);
  return batch;
}
export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  if (pathname === '/hang') return new Promise(() => {});
  if (pathname === '/exit') process.exit(3);
  if (pathname === '/reject') Promise.reject(new Error('nobody looks'));
  if (pathname === '/spin') for (;;);
  if (pathname === '/garbage') (await import('node:fs')).writeSync(3, 'what a kernel never expects'.repeat(100));
  if (pathname === '/credit') (await import('node:fs')).writeSync(3, creditOf('NaN'));
  if (pathname === '/long') (await import('node:fs')).writeSync(3, longAnswer());
  if (pathname === '/result') JSON.stringify = () => '"' + 'x'.repeat(2 ** 20) + '"';
  if (pathname === '/buffers')
    for (globalThis.kept = []; kept.length < 24; await new Promise((resolve) => setTimeout(resolve, 10)))
      kept.push(Buffer.alloc(10 * 2 ** 20, 1));
  if (pathname === '/heap') { const kept = []; for (;;) kept.push({ kept: [kept.length] }); }
  return Response.json({ version: env.version, pid: process.pid });
} };`;

describe('An instance that dies', () => {
  it.each([
    ['/exit', /exit code 3/],
    ['/reject', /exit code 1/],
    ['/garbage', /protocol/],
    ['/credit', /Credit is not a number of bytes/],
    ['/long', /more body than may be sent without credit/],
    ['/result', /The answer to ping is longer than 1048576 bytes/],
    // On a busy machine the collector's last efforts may take so long that the watchdog is first.
    ['/heap', /SIGABRT|exit code|did not respond/],
  ])('by %s fails what is pending in it at once, and is started again', async (path, error) => {
    const one = fixture.release('shop@1.0.0', breakable, { limits: { memoryMiB: 32 } });
    await fixture.reach(one);
    const { pid } = await fixture.json('shop');
    const pending = [fixture.get('shop', '/hang'), fixture.get('shop', '/hang')].map((answer) =>
      answer.catch((thrown: unknown) => thrown),
    );
    await fixture.get('shop', path).catch(() => undefined);
    for (const thrown of await Promise.all(pending))
      expect(thrown).toMatchObject({ code: 'module-failed', release: 'shop@1.0.0' });
    await fixture.until('it serves again', () => fixture.instance(one)?.state === 'Active');
    expect((await fixture.json('shop')).pid).not.toBe(pid);
    expect(fixture.instance(one)).toMatchObject({ crashes: 1, failureKind: null });
    expect(fixture.logs.some(({ source, message }) => source === 'host' && error.test(message))).toBe(true);
    const sample = fixture.traffic(one)!;
    expect(sample.failures).toBeGreaterThanOrEqual(2);
    expect(sample.inFlight).toBe(0);
  });

  it('and is started again leaves the last swap as it was', async () => {
    const two = fixture.release('shop@2.0.0', breakable);
    await fixture.reach(fixture.release('shop@1.0.0'));
    await fixture.reach(two);
    const { lastSwap } = fixture.report('shop');
    await fixture.get('shop', '/exit').catch(() => undefined);
    await fixture.until(
      'it serves again',
      () => fixture.instance(two)?.crashes === 1 && fixture.instance(two)?.state === 'Active',
    );
    expect(fixture.report('shop').lastSwap).toMatchObject({ ...lastSwap, from: expect.any(String), drained: 0 });
  });

  it('again and again is reported as a crash loop, tried again, and left in peace once it holds', async () => {
    const one = fixture.release('shop@1.0.0', breakable);
    await fixture.reach(one);
    for (let crash = 1; crash <= 3; crash++) {
      await fixture.until('it serves', () => fixture.instance(one)?.state === 'Active');
      await fixture.get('shop', '/exit').catch(() => undefined);
      await fixture.until('the crash is seen', () => fixture.instance(one)?.crashes === crash);
    }
    expect(fixture.instance(one)).toMatchObject({ state: 'Failed', failureKind: 'crash-loop' });
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'module-not-ready' });
    await fixture.until('it serves again', () => fixture.instance(one)?.state === 'Active');
    expect(fixture.instance(one)).toMatchObject({ crashes: 3, failureKind: null });
  });

  it('as a candidate leaves the active release all requests', async () => {
    const one = fixture.release('shop@1.0.0');
    const two = fixture.release('shop@2.0.0', breakable);
    await fixture.reach(one, { candidate: two, candidatePercent: 100 });
    await expect(fixture.get('shop', '/exit')).rejects.toMatchObject({ release: 'shop@2.0.0' });
    expect((await fixture.get('shop')).release).toBe('shop@1.0.0');
    await fixture.until('the candidate is back', () => fixture.report('shop').candidate === two.digest);
    expect((await fixture.get('shop')).release).toBe('shop@2.0.0');
  });
});

describe('An instance that does harm', () => {
  it('by a busy loop is ended and started again, while its neighbour serves', async () => {
    const one = fixture.release('shop@1.0.0', breakable);
    const till = fixture.release('till@1.0.0');
    await fixture.reach(one);
    await fixture.reach(till);
    const { pid } = await fixture.json('till');
    const spinning = fixture.get('shop', '/spin').catch((error: unknown) => error);
    let isOver = false;
    void spinning.then(() => (isOver = true));
    let served = 0;
    while (!isOver) {
      expect((await fixture.json('till')).pid).toBe(pid);
      served++;
    }
    expect(served).toBeGreaterThan(10);
    expect(await spinning).toMatchObject({ code: 'module-failed', release: 'shop@1.0.0' });
    await fixture.until('it serves again', () => fixture.instance(one)?.state === 'Active');
    expect(fixture.logs.some(({ message }) => /did not respond for 3 s, and was ended/.test(message))).toBe(true);
    expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
  });

  it('by buffers beyond its limit is ended', async () => {
    const one = fixture.release('shop@1.0.0', breakable, { limits: { memoryMiB: 32 } });
    await fixture.reach(one);
    // Whether its answer is out before it is ended is a race.
    await fixture
      .get('shop', '/buffers')
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'module-failed' }));
    await fixture.until('it is ended', () => fixture.instance(one)?.crashes === 1);
    expect(fixture.logs.some(({ message }) => /used \d+ MiB of memory, more than the 160 MiB/.test(message))).toBe(
      true,
    );
  });

  it.each([
    ['tells of less', 'process.memoryUsage.rss = () => 1'],
    ['never tells again', 'for (;;)'],
  ])('by buffers beyond its limit is ended though it %s', async (_, then) => {
    await fixture.close();
    fixture = new HostFixture({ pingSeconds: 0.2, stallSeconds: 600 });
    const source = `export default { fetch(request, env) {
      if (request.url.endsWith('/fill')) { globalThis.kept = Array.from({ length: 24 }, () => Buffer.alloc(10 * 2 ** 20, 1)); ${then}; }
      return new Response(env.version);
    } };`;
    const one = fixture.release('shop@1.0.0', source, { limits: { memoryMiB: 32 } });
    await fixture.reach(one);
    await fixture
      .get('shop', '/fill')
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'module-failed' }));
    await fixture.until('it is ended', () => fixture.instance(one)?.crashes === 1);
    expect(fixture.logs.some(({ message }) => /used \d+ MiB of memory, more than the 160 MiB/.test(message))).toBe(
      true,
    );
  });

  it.each([
    ['is null', `JSON.stringify = () => 'null'`],
    ['is no JSON', `JSON.stringify = () => 'well enough'`],
    ['has text for memory', `process.memoryUsage.rss = () => 'x'`],
    ['has a fraction of a byte', `process.memoryUsage.rss = () => 1.5`],
    ['has less than no memory', `process.memoryUsage.rss = () => -1`],
    ['has null for memory', `process.memoryUsage.rss = () => NaN`],
    ['has endless time', `JSON.stringify = () => '{"cpuSeconds":1e999,"rssBytes":1,"eventLoopDelaySeconds":0}'`],
    ['has text for a delay', `JSON.stringify = () => '{"cpuSeconds":1,"rssBytes":1,"eventLoopDelaySeconds":"0"}'`],
    ['is a failure', `process.cpuUsage = () => { throw new Error('not to be told'); }`],
  ])('by an answer to the watchdog that %s is ended alone, and named', async (_, forge) => {
    const forging = `export default { fetch(request, env) {
      if (request.url.endsWith('/forge')) ${forge};
      return new Response(env.version);
    } };`;
    const one = fixture.release('shop@1.0.0', forging);
    const till = fixture.release('till@1.0.0');
    await fixture.reach(one);
    await fixture.reach(till);
    const { pid } = await fixture.json('till');
    await fixture.get('shop', '/forge');
    await fixture.until('it is ended', () => fixture.instance(one)?.crashes === 1);
    expect(
      fixture.logs
        .filter(({ level, source }) => level === 'error' && source === 'host')
        .map(({ release, message }) => `${release} ${message}`),
    ).toEqual([expect.stringMatching(/^shop@1.0.0 The process does not tell how it is: .+, and was ended\.$/)]);
    await fixture.until('it serves again', () => fixture.instance(one)?.state === 'Active');
    expect(await fixture.json('till')).toEqual({ version: '1.0.0', pid });
    expect(fixture.instance(till)).toMatchObject({ crashes: 0 });
  });

  it('by printing without end is cut short', async () => {
    const printing = `export default { fetch() { for (let n = 0; n < 5000; n++) console.log('line', n); console.error('x'.repeat(20000)); return new Response('ok'); } };`;
    const one = fixture.release('shop@1.0.0', printing);
    await fixture.reach(one);
    await fixture.get('shop');
    await fixture.reach(null, { module: 'shop' });
    await fixture.until('the count is told', () =>
      fixture.logs.some(({ message }) => /lines of output were left out/.test(message)),
    );
    const printed = fixture.logs.filter(({ source }) => source === 'module');
    expect(printed.length).toBeLessThan(1000);
    expect(printed[0]).toMatchObject({ level: 'info', release: 'shop@1.0.0', module: 'shop', message: 'line 0' });
    const long = printed.find(({ level }) => level === 'error');
    expect(long?.message.length).toBeLessThan(9000);
    expect(long?.message).toMatch(/^x+… \(cut\)$/);
  });
});

describe('What an instance may do', () => {
  const probing = `
    const tried = async (what) => { try { await what(); return 'allowed'; } catch (error) { return error.cause?.code ?? error.code; } };
    export default { async fetch(request, env) {
      const fs = await import('node:fs/promises');
      return Response.json({
        own: await tried(() => fs.readFile(new URL('./package.json', import.meta.url))),
        passwd: await tried(() => fs.readFile('/etc/passwd')),
        neighbour: await tried(() => fs.readFile(env.neighbour)),
        write: await tried(() => fs.writeFile(new URL('./own.txt', import.meta.url), 'x')),
        child: await tried(async () => (await import('node:child_process')).execFileSync('/bin/true')),
        worker: await tried(async () => new (await import('node:worker_threads')).Worker('1', { eval: true })),
        network: await tried(() => fetch(env.server)),
        environment: Object.keys(process.env).length,
      });
    } };`;

  it('is to read its own files, nothing else', async () => {
    const till = fixture.release('till@1.0.0');
    const neighbour = join(fixture.directoryOf(till), 'module.js');
    const one = fixture.release('shop@1.0.0', probing, {}, { neighbour, server: 'http://127.0.0.1:9999/' });
    await fixture.reach(one);
    const denied = 'ERR_ACCESS_DENIED';
    expect(await fixture.json('shop')).toEqual({
      own: 'allowed',
      passwd: denied,
      neighbour: denied,
      write: denied,
      child: denied,
      worker: denied,
      network: process.allowedNodeEnvironmentFlags.has('--allow-net') ? denied : 'ECONNREFUSED',
      environment: 0,
    });
  });

  it('grows by what its manifest asks for', async () => {
    const folder = join(fixture.folder, 'granted');
    mkdirSync(folder);
    const neighbour = join(folder, 'data.txt');
    writeFileSync(neighbour, 'x');
    const permissions = { network: true, fileRead: [folder, '/etc/passwd'], fileWrite: [], childProcess: true };
    const one = fixture.release(
      'shop@1.0.0',
      probing,
      { permissions },
      { neighbour, server: 'http://127.0.0.1:9999/' },
    );
    await fixture.reach(one);
    expect(await fixture.json('shop')).toMatchObject({
      passwd: 'allowed',
      neighbour: 'allowed',
      child: 'allowed',
      network: 'ECONNREFUSED',
      worker: 'ERR_ACCESS_DENIED',
    });
  });

  it('is to know its place, its configuration and its secrets, which it can not change', async () => {
    fixture.secretsDirectory = join(fixture.folder, 'secrets');
    mkdirSync(join(fixture.secretsDirectory, 'shop'), { recursive: true });
    writeFileSync(join(fixture.secretsDirectory, 'shop', 'API_KEY'), 'k-123\n');
    mkdirSync(join(fixture.secretsDirectory, 'till'));
    writeFileSync(join(fixture.secretsDirectory, 'till', 'OTHER'), 'not for the shop');
    const telling = `let started; export default { start(env) { started = env; },
      fetch(request, env) { try { env.nested.x = 2; } catch (error) { return Response.json({ env, same: started === env, error: error.name }); } } };`;
    const one = fixture.release('shop@1.0.0', telling, {}, { nested: { x: 1 }, version: 'forged' });
    await fixture.reach(one);
    expect(await fixture.json<unknown>('shop')).toEqual({
      env: { environment: 'QA', module: 'shop', version: '1.0.0', node: 'node-1', nested: { x: 1 }, API_KEY: 'k-123' },
      same: true,
      error: 'TypeError',
    });
    expect(JSON.stringify(fixture.logs)).not.toContain('k-123');
  });
});

describe('The end', () => {
  it('closes everything: hooks are called, processes end, requests are refused', async () => {
    const telling = `export default { fetch: () => new Response('ok'),
      deactivate() { console.log('deactivate'); }, stop() { console.log('stop'); } };`;
    const one = fixture.release('shop@1.0.0', telling);
    await fixture.reach(one);
    await fixture.reach(fixture.release('till@1.0.0'));
    const pids = fixture.host.reports().map((report) => report.instances[0]!.pid!);
    await fixture.host.close(5);
    expect(pids.some(isAlive)).toBe(false);
    const printed = fixture.logs.filter(({ source }) => source === 'module').map(({ message }) => message);
    expect(printed).toEqual(['deactivate', 'stop']);
    await expect(fixture.get('shop')).rejects.toMatchObject({ code: 'no-such-route' });
  });

  it('of the kernel, however sudden, ends its instances', async () => {
    const spec = fixture.release('shop@1.0.0', plainModule);
    const program = `
      import { encloseIn, ModuleHost } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
      const spec = ${JSON.stringify(spec)};
      const manifest = { isolation: 'process', entry: 'module.js', route: 'shop', smoke: [], health: { path: null, timeoutSeconds: 5 },
        limits: { memoryMiB: 64, requestSeconds: 30, requestBodyMiB: 1, inFlight: 10 },
        permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false } };
      const host = new ModuleHost({ enclose: encloseIn(${JSON.stringify(join(fixture.folder, '.kernel'))}), log() {}, onChange() { const pid = host.reports()[0]?.active && host.reports()[0].instances[0].pid; if (pid) console.log(pid); },
        load: async () => ({ spec, manifest, directory: ${JSON.stringify(fixture.directoryOf(spec))}, environment: 'QA', node: 'n', secretsDirectory: null }) });
      host.apply([{ module: 'shop', active: spec, candidate: null, candidatePercent: 0, warm: [], fallback: null, traceparent: null, policy: { warmSeconds: 1, drainSeconds: 1 } }]);`;
    const kernel = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(kernel.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString().split('\n')[0]);
    expect(isAlive(pid)).toBe(true);
    kernel.kill('SIGKILL');
    await fixture.until('the instance ended', () => !isAlive(pid));
  });
});
