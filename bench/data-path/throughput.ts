import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Contender, RunningContender } from './contender.js';
import { bare, here } from './contenders.js';
import { profile } from './profile.js';
import { spread } from './spread.js';

export interface ThroughputOptions {
  rounds: number;
  seconds: number;
  connections: number;
  /** Sent as a POST; 0: GET. */
  bodyBytes: number;
}

/** What wrk.lua tells; times in ms. */
interface Load {
  requests: number;
  /** Connections refused or broken off, answers that are none or not of 2xx or 3xx, time-outs. */
  failures: number;
  seconds: number;
  p50: number;
  p99: number;
}

interface Measurement extends Load {
  requestsPerSecond: number;
  /** Of all of the server's processes. */
  cpuMicrosecondsPerRequest: number;
}

/** A B A B: bare and contender right after each other, so that what the machine does meanwhile hits both. */
export async function compareThroughput(contender: Contender, options: ThroughputOptions): Promise<object> {
  const rounds: [Measurement, Measurement][] = [];
  const reference = await RunningContender.start(bare());
  try {
    const running = await RunningContender.start(contender);
    try {
      for (const each of [reference, running]) await measure(each, { ...options, seconds: 1 });
      for (let round = 0; round < options.rounds; round++)
        rounds.push([await measure(reference, options), await measure(running, options)]);
    } finally {
      await running.stop();
    }
  } finally {
    await reference.stop();
  }
  const best = (at: 0 | 1) => Math.max(...rounds.map((round) => round[at].requestsPerSecond));
  const ratio = (of: (measurement: Measurement) => number) => spread(rounds.map(([a, b]) => of(b) / of(a)));
  return {
    contender: contender.name,
    connections: options.connections,
    bodyBytes: options.bodyBytes,
    throughputRatio: ratio(({ requestsPerSecond }) => requestsPerSecond),
    /** Each one's quickest round. */
    bestThroughputRatio: Number((best(1) / best(0)).toPrecision(4)),
    cpuRatio: ratio(({ cpuMicrosecondsPerRequest }) => cpuMicrosecondsPerRequest),
    p99Ratio: ratio(({ p99 }) => p99),
    requestsPerSecond: spread(rounds.map(([, { requestsPerSecond }]) => requestsPerSecond)),
    bareRequestsPerSecond: spread(rounds.map(([{ requestsPerSecond }]) => requestsPerSecond)),
    cpuMicrosecondsPerRequest: spread(rounds.map(([, b]) => b.cpuMicrosecondsPerRequest)),
    failures: rounds.reduce((sum, [a, b]) => sum + a.failures + b.failures, 0),
  };
}

/** Where the CPU goes, of bare and of the contender. */
export async function profileThroughput(contender: Contender, options: ThroughputOptions): Promise<object> {
  const profiles: Record<string, object> = {};
  for (const each of [bare(), contender]) {
    const running = await RunningContender.start(each);
    try {
      await measure(running, { ...options, seconds: 3 });
      const load = async () => (await measure(running, options)).requests;
      profiles[each.name] = await profile(running, load);
    } finally {
      await running.stop();
    }
  }
  return { connections: options.connections, bodyBytes: options.bodyBytes, microsecondsPerRequest: profiles };
}

async function measure(running: RunningContender, options: ThroughputOptions): Promise<Measurement> {
  const before = running.cpuSeconds();
  const load = await runLoad(`http://127.0.0.1:${running.port}${running.contender.path}`, options);
  return {
    ...load,
    requestsPerSecond: load.requests / load.seconds,
    cpuMicrosecondsPerRequest: ((running.cpuSeconds() - before) * 1e6) / load.requests,
  };
}

/** Keep-alive connections that each send the next request when they have the answer. @throws Error where wrk is not installed. */
async function runLoad(url: string, { connections, seconds, bodyBytes }: ThroughputOptions): Promise<Load> {
  const script = ['--script', join(here, 'wrk.lua'), url, '--', `${bodyBytes}`];
  const child = spawn(
    'wrk',
    ['--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}`, ...script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = once(child, 'close').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new Error('wrk, which is the client, is not installed (Debian: apt-get install wrk).');
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`wrk ended with ${code}.`);
  return JSON.parse(text.slice(text.lastIndexOf('{'))) as Load;
}
