import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReleaseSpec } from '@hotswap/agent-protocol';
import { encloseIn, type LoadableRelease, ModuleHost, replyOf } from '@hotswap/module-host';
import pino from 'pino';
import type { Swapped } from './contender.js';
import { Router } from '../../apps/kernel-node/src/traffic/router.js';
import { TrafficServer } from '../../apps/kernel-node/src/traffic/traffic-server.js';

// A kernel node's whole data path (its HTTP server, router, host and instances) without a control plane: what to run comes by the arguments,
// and each line on standard input is a version to swap to, or `back`: to the one before, which was kept warm.
const [isolation = 'process', source = '', kilobytes = '0', modules = '1', plant = ''] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'hotswap-bench-'));
const packageFolder = join(folder, 'package');
mkdirSync(packageFolder);
writeFileSync(join(packageFolder, 'module.js'), `${readFileSync(source, 'utf8')}${padding(Number(kilobytes) * 1000)}`);
writeFileSync(join(packageFolder, 'package.json'), '{"type":"module"}');

const log = pino({ level: 'silent' });
const host = new ModuleHost({
  log: ({ level, message, release }) => level !== 'info' && console.error(level, release, message),
  onChange: () => undefined,
  enclose: encloseIn(join(folder, 'instances')),
  load: async (spec) =>
    watched({
      spec,
      manifest: {
        manifest: 1,
        entry: 'module.js',
        kernel: '*',
        route: spec.module,
        isolation: isolation as 'process' | 'thread',
        permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false },
        limits: { memoryMiB: 128, requestSeconds: 30, requestBodyMiB: 10, inFlight: 10_000 },
        health: { path: null, timeoutSeconds: 5 },
        smoke: [],
      },
      directory: packageFolder,
      environment: 'Production',
      node: 'bench',
      secretsDirectory: null,
    }),
});
const isLeaving = () => false;
const onProblem = (code: string) => console.error(`problem ${code}`);
const router = new Router({ host, log, isLeaving, clientIdleSeconds: 60, onProblem });
const server = new TrafficServer({
  router,
  log,
  isLeaving,
  onProblem,
  readiness: () => ({ ready: true, because: null, members: {} }),
  metrics: async () => ({ contentType: 'text/plain', text: '' }),
});

let turn = 0;
function release(module: string, version: string): ReleaseSpec {
  const digest = `sha256:${Buffer.from(`${version} ${turn++}`).toString('hex').padEnd(64, '0').slice(0, 64)}`;
  return { digest, module, version, artifact: digest, configurationRevision: 1, configuration: {} };
}

/** As much code as a bundle has of its libraries. */
function padding(bytes: number): string {
  let text = '';
  for (let n = 0; text.length < bytes; n++)
    text += `export function f${n}(a, b) { const c = { a, b, n: ${n} }; return Object.entries(c).map(([key, value]) => key + value).join(); }\n`;
  return text;
}

/** Names of the releases that are in memory. */
const held = new Set<string>();
const letGo = new FinalizationRegistry((version: string) => held.delete(version));
const planted: { release: LoadableRelease; ballast: Buffer }[] = [];

function watched(release: LoadableRelease): LoadableRelease {
  const { version } = release.spec;
  held.add(version);
  letGo.register(release, version);
  if (plant === 'host') planted.push({ release, ballast: Buffer.alloc(64 * 1024) });
  return release;
}

/** The release that serves, and the one before, which is warm. */
let [serving, before]: (ReleaseSpec | null)[] = [null, null];

/** Resolves when a request is answered by the release asked for; answers how long that took, in ms. */
async function swap(version: string): Promise<number> {
  const active = version === 'back' ? before : release('m', version);
  if (active === null || active === undefined) throw new Error('There is none to go back to.');
  const warm = serving ? [serving] : [];
  [serving, before] = [active, serving];
  const startedAt = performance.now();
  await serve(active, warm);
  return performance.now() - startedAt;
}

/** Resolves when a request is answered by the release. */
async function serve(active: ReleaseSpec, warm: ReleaseSpec[]): Promise<void> {
  const { module, version } = active;
  const policy = { warmSeconds: 900, drainSeconds: 10 };
  const nothing = { candidate: null, candidatePercent: 0, fallback: null, traceparent: null };
  host.apply([{ module, active, warm, policy, ...nothing }]);
  do await new Promise((resolve) => setImmediate(resolve));
  while ((await ask(module)) !== `${module}@${version}`);
}

/** Which release answers. */
async function ask(module: string): Promise<string | null> {
  const signal = new AbortController().signal;
  const request = { method: 'GET', url: 'http://localhost/', headers: [], body: null, signal };
  return replyOf((reply) => host.handle(module, request, reply)).then(
    (response) => response.release,
    () => null,
  );
}

/** When nothing is left of the one before the one before, but after half a second at the latest. */
async function figures(): Promise<Omit<Swapped, 'milliseconds'>> {
  const until = performance.now() + 500;
  while ((host.reports()[0]?.instances.length ?? 0) > 2 && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 5));
  global.gc?.();
  const [report] = host.reports();
  const now = report?.instances.find((instance) => instance.release === report.active);
  const running = new Set(report?.instances.map((instance) => instance.version));
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    began: report?.lastSwap?.began ?? 'none',
    phaseSeconds: now?.phaseSeconds ?? {},
    rssBytes: rss,
    heapBytes: heapUsed,
    externalBytes: external,
    handles: process.getActiveResourcesInfo().length,
    descriptors: readdirSync('/proc/self/fd').length,
    kept: [...held].filter((version) => !running.has(version)),
  };
}

await swap('1.0.0');
for (let n = 1; n < Number(modules); n++) await serve(release(`m${n}`, '1.0.0'), []);
console.log(`port ${await server.listen('127.0.0.1', 0)}`);
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  for (const version of text.split('\n').filter((line) => line !== ''))
    void swap(version).then(async (milliseconds) => {
      host.takeTraffic();
      console.log(`swapped ${JSON.stringify({ ...(await figures()), milliseconds } satisfies Swapped)}`);
    });
});
process.stdin.on('end', () => void end());
process.on('SIGTERM', () => void end());
async function end(): Promise<void> {
  server.stopAccepting();
  server.closeConnections();
  await host.close(1);
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}
