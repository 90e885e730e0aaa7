import { execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Contender, RunningContender } from './contender.js';
import type { LoadOptions, LoadResult } from './load.js';
import { spread } from './spread.js';
import { hostedNode, reloadedPeers } from './swap-contenders.js';
import { runSwaps, timeSwaps } from './swaps.js';

const usage = `Usage: npm run bench:data-path -- [options]
  --only NAMES     contenders, separated by commas (default: process,thread; bare is always measured beside each)
  --peers          installs the peers in bench/data-path and measures them too
  --rounds N       rounds of bare and contender, one after the other (default 5)
  --seconds N      length of one measurement (default 3)
  --connections N  default 64
  --body BYTES     POST bodies of so many bytes (default 0: GET)
  --swaps N        swaps under load instead, so many of them, one each --swap-every milliseconds (default 1000)
  --requests N     ... and on until so many requests are answered
  --swap-times N   how long so many swaps take with nothing else to do, and the ways back
  --out FILE       also writes the JSON there`;

const here = join(process.cwd(), 'bench/data-path');
const server = (name: string) => join(here, 'servers', name);
const bin = (name: string) => join(here, 'node_modules/.bin', name);
const hosted = (isolation: string): Contender => ({
  name: isolation,
  command: [
    process.execPath,
    '--max-semi-space-size=4',
    join(here, 'dist/hosted-node.js'),
    isolation,
    server('module.mjs'),
  ],
  port: null,
  path: '/m/',
});
const bare: Contender = { name: 'bare', command: [process.execPath, server('bare.mjs')], port: null, path: '/' };
const contenders: Contender[] = [hosted('process'), hosted('thread')];
const peers: Contender[] = [
  { name: 'hono', command: [process.execPath, server('hono.mjs')], port: null, path: '/' },
  { name: 'workerd', command: [bin('workerd'), 'serve', server('workerd.capnp')], port: 18787, path: '/' },
  {
    name: 'pm2-cluster',
    command: [bin('pm2-runtime'), 'start', server('bare.mjs'), '-i', '1', '--', '18789'],
    env: { PM2_HOME: join(here, '.pm2') },
    port: 18789,
    path: '/',
  },
  { name: 'nginx', command: ['nginx', '-p', here, '-c', server('nginx.conf')], port: 18790, path: '/' },
];

interface Measurement extends LoadResult {
  requestsPerSecond: number;
  /** Of all of the server's processes. */
  cpuMicrosecondsPerRequest: number;
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    body: { type: 'string', default: '0' },
    swaps: { type: 'string', default: '0' },
    'swap-every': { type: 'string', default: '1000' },
    'swap-times': { type: 'string', default: '0' },
    requests: { type: 'string', default: '0' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(usage);
else await run();

async function run(): Promise<void> {
  if (values.peers && !existsSync(join(here, 'node_modules')))
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', here], { stdio: 'inherit' });
  const names = values.only?.split(',');
  const isSwapped = Number(values.swaps) > 0 || Number(values['swap-times']) > 0;
  const own = isSwapped ? [hostedNode('process'), hostedNode('thread')] : contenders;
  const others = isSwapped ? reloadedPeers : peers;
  const chosen = [...own, ...(values.peers ? others : [])].filter(({ name }) => names?.includes(name) ?? true);
  const results: unknown[] = [];
  for (const contender of chosen)
    try {
      const result = isSwapped ? await runWithSwaps(contender) : await compare(contender);
      results.push(result);
      console.log(JSON.stringify(result));
    } catch (error) {
      console.error(`${contender.name} was not measured: ${(error as Error).message}`);
    }
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`);
}

async function runWithSwaps(contender: Contender): Promise<object> {
  const count = Number(values['swap-times']);
  if (count > 0) return timeSwaps(contender, count);
  return runSwaps(contender, {
    swaps: Number(values.swaps),
    everyMilliseconds: Number(values['swap-every']),
    requestsMin: Number(values.requests),
    connections: Number(values.connections),
  });
}

/** A B A B: bare and contender right after each other, so that what the machine does meanwhile hits both. */
async function compare(contender: Contender): Promise<object> {
  const rounds: [Measurement, Measurement][] = [];
  const reference = await RunningContender.start(bare);
  try {
    const running = await RunningContender.start(contender);
    try {
      for (const each of [reference, running]) await measure(each, 1);
      for (let round = 0; round < Number(values.rounds); round++)
        rounds.push([await measure(reference, Number(values.seconds)), await measure(running, Number(values.seconds))]);
    } finally {
      await running.stop();
    }
  } finally {
    await reference.stop();
  }
  const ratio = (of: (measurement: Measurement) => number) => spread(rounds.map(([a, b]) => of(b) / of(a)));
  return {
    contender: contender.name,
    connections: Number(values.connections),
    bodyBytes: Number(values.body),
    throughputRatio: ratio(({ requestsPerSecond }) => requestsPerSecond),
    cpuRatio: ratio(({ cpuMicrosecondsPerRequest }) => cpuMicrosecondsPerRequest),
    p99Ratio: ratio(({ p99 }) => p99),
    requestsPerSecond: spread(rounds.map(([, { requestsPerSecond }]) => requestsPerSecond)),
    bareRequestsPerSecond: spread(rounds.map(([{ requestsPerSecond }]) => requestsPerSecond)),
    cpuMicrosecondsPerRequest: spread(rounds.map(([, b]) => b.cpuMicrosecondsPerRequest)),
    failures: rounds.reduce((sum, [a, b]) => sum + a.failures + b.failures, 0),
  };
}

async function measure(running: RunningContender, seconds: number): Promise<Measurement> {
  const before = running.cpuSeconds();
  const result = await runLoad({
    port: running.port,
    path: running.contender.path,
    connections: Number(values.connections),
    seconds,
    bodyBytes: Number(values.body),
    paceMilliseconds: 0,
  });
  return {
    ...result,
    requestsPerSecond: result.requests / result.seconds,
    cpuMicrosecondsPerRequest: ((running.cpuSeconds() - before) * 1e6) / result.requests,
  };
}

async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const child = spawn(process.execPath, [join(here, 'dist/load-process.js'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return JSON.parse(text) as LoadResult;
}
