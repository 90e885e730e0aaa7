import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Contender } from './contender.js';
import { here, hosted, isolations, peers, reloadedPeers, swapped } from './contenders.js';
import { measureCores } from './cores.js';
import { compareLatency, lowLoad, profileLatency, spreadLoad } from './latency.js';
import { runSwaps, timeSwaps } from './swaps.js';
import { compareThroughput, profileThroughput } from './throughput.js';

const usage = `Usage: npm run bench:data-path -- [options]
Throughput, with wrk as the client, unless one of the others is asked for.
  --only NAMES     contenders, separated by commas (default: process,thread; bare is always measured beside each)
  --peers          installs the peers in bench/data-path and measures them too
  --rounds N       rounds of bare and contender, one after the other (default 15; for latency 5)
  --seconds N      length of one measurement (default 1; for latency 3, for profiles 4)
  --connections N  default 64
  --body BYTES     POST bodies of so many bytes (default 0: GET)
  --spread         latency instead: ${spreadLoad.perSecond} requests/s over ${spreadLoad.modules} modules with handlers of ${spreadLoad.delayMilliseconds} ms
  --low-load       latency instead: ${lowLoad.perSecond} requests/s to one module
  --profile        where the CPU goes instead, with perf
  --cores          how steady this machine's cores are instead
  --swaps N        swaps under load instead, so many of them, one each --swap-every milliseconds (default 1000)
  --requests N     ... and on until so many requests are answered
  --swap-times N   how long so many swaps take with nothing else to do, and the ways back
  --out FILE       also writes the JSON there`;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '64' },
    body: { type: 'string', default: '0' },
    spread: { type: 'boolean', default: false },
    'low-load': { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    cores: { type: 'boolean', default: false },
    swaps: { type: 'string', default: '0' },
    'swap-every': { type: 'string', default: '1000' },
    'swap-times': { type: 'string', default: '0' },
    requests: { type: 'string', default: '0' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const isLatency = values.spread || values['low-load'];
const rounds = {
  rounds: Number(values.rounds ?? (isLatency ? 5 : 15)),
  seconds: Number(values.seconds ?? (values.profile ? 4 : isLatency ? 3 : 1)),
};
const connections = Number(values.connections);

if (values.help) console.log(usage);
else await run();

/** What is measured, by name. */
function measurements(): Map<string, () => Promise<object>> {
  if (values.cores) return new Map([['cores', measureCores]]);
  const load = values.spread ? spreadLoad : values['low-load'] ? lowLoad : null;
  const ofLatency = values.profile ? profileLatency : compareLatency;
  if (load !== null) return new Map(isolations.map((name) => [name, () => ofLatency(name, { ...rounds, ...load })]));
  const isSwapped = Number(values.swaps) > 0 || Number(values['swap-times']) > 0;
  const own = isolations.map((name) => (isSwapped ? swapped(name) : hosted(name, 'module.mjs')));
  const others = values.peers ? (isSwapped ? reloadedPeers : peers) : [];
  const measure = isSwapped ? runWithSwaps : runThroughput;
  return new Map([...own, ...others].map((contender) => [contender.name, () => measure(contender)]));
}

async function run(): Promise<void> {
  if (values.peers && !existsSync(join(here, 'node_modules')))
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', here], { stdio: 'inherit' });
  const names = values.only?.split(',');
  const results: unknown[] = [];
  for (const [name, measure] of measurements()) {
    if (names?.includes(name) === false) continue;
    try {
      const result = await measure();
      results.push(result);
      console.log(JSON.stringify(result));
    } catch (error) {
      console.error(`${name} was not measured: ${(error as Error).message}`);
    }
  }
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`);
}

function runThroughput(contender: Contender): Promise<object> {
  const ofThroughput = values.profile ? profileThroughput : compareThroughput;
  return ofThroughput(contender, { ...rounds, connections, bodyBytes: Number(values.body) });
}

function runWithSwaps(contender: Contender): Promise<object> {
  const count = Number(values['swap-times']);
  if (count > 0) return timeSwaps(contender, count);
  return runSwaps(contender, {
    swaps: Number(values.swaps),
    everyMilliseconds: Number(values['swap-every']),
    requestsMin: Number(values.requests),
    connections,
  });
}
