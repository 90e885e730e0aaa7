import { mkdtempSync, rmSync, copyFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModuleAssignment, ReleaseSpec } from '@hotswap/agent-protocol';
import { ModuleHost } from '@hotswap/module-host';
import pino from 'pino';
import { Router } from '../../apps/kernel-node/src/traffic/router.js';
import { TrafficServer } from '../../apps/kernel-node/src/traffic/traffic-server.js';

// A kernel node's whole data path (its HTTP server, router, host and instances) without a control plane: what to run comes by the arguments,
// and each line on standard input is a version to swap to.
const [isolation = 'process', source = ''] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'hotswap-bench-'));
copyFileSync(source, join(folder, 'module.js'));
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');

const log = pino({ level: 'silent' });
const host = new ModuleHost({
  log: ({ level, message, release }) => level !== 'info' && console.error(level, release, message),
  onChange: () => undefined,
  load: async (spec) => ({
    spec,
    manifest: {
      manifest: 1,
      entry: 'module.js',
      kernel: '*',
      route: 'm',
      isolation: isolation as 'process' | 'thread',
      permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false },
      limits: { memoryMiB: 128, requestSeconds: 30, requestBodyMiB: 10, inFlight: 10_000 },
      health: { path: null, timeoutSeconds: 5 },
      smoke: [],
    },
    directory: folder,
    environment: 'Production',
    node: 'bench',
    secretsDirectory: null,
  }),
});
const isLeaving = () => false;
const onProblem = (code: string) => console.error(`problem ${code}`);
const router = new Router({ host, log, isLeaving, onProblem });
const server = new TrafficServer({
  router,
  log,
  isLeaving,
  onProblem,
  readiness: () => ({ ready: true, because: null, members: {} }),
  metrics: async () => ({ contentType: 'text/plain', text: '' }),
});

let turn = 0;
function release(version: string): ReleaseSpec {
  const digest = `sha256:${Buffer.from(`${version} ${turn++}`).toString('hex').padEnd(64, '0').slice(0, 64)}`;
  return { digest, module: 'm', version, artifact: digest, configurationRevision: 1, configuration: {} };
}

/** Answers how long it took until the new release served, in ms. */
async function swap(version: string): Promise<number> {
  const startedAt = performance.now();
  const active = release(version);
  const assignment: ModuleAssignment = {
    module: 'm',
    active,
    candidate: null,
    candidatePercent: 0,
    warm: [],
    fallback: null,
    policy: { warmSeconds: 0, drainSeconds: 10 },
    traceparent: null,
  };
  host.apply([assignment]);
  while (host.reports()[0]?.active !== active.digest) await new Promise((resolve) => setTimeout(resolve, 1));
  return performance.now() - startedAt;
}

await swap('1.0.0');
console.log(`port ${await server.listen('127.0.0.1', 0)}`);
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  for (const version of text.split('\n').filter((line) => line !== ''))
    void swap(version).then((milliseconds) => {
      host.takeTraffic();
      const { rss } = process.memoryUsage();
      console.log(
        `swapped ${JSON.stringify({ version, milliseconds, rss, handles: process.getActiveResourcesInfo().length })}`,
      );
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
