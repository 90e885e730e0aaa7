import { RunningContender } from './contender.js';
import { bare, hosted } from './contenders.js';
import { openLoop, type OpenLoopResult } from './open-loop.js';
import { profile } from './profile.js';
import { spread } from './spread.js';

export interface LatencyOptions {
  rounds: number;
  seconds: number;
  perSecond: number;
  modules: number;
  /** What each of them is, of servers/. */
  module: string;
  /** How long it waits before it answers. */
  delayMilliseconds: number;
}

/** Many modules with little to do each. */
export const spreadLoad = { perSecond: 1000, modules: 20, module: 'delayed.mjs', delayMilliseconds: 5 };
/** One request at a time, most of the time. */
export const lowLoad = { perSecond: 50, modules: 1, module: 'module.mjs', delayMilliseconds: 0 };

/** What a contender adds to bare's latency at a rate that both can take; A B A B as for throughput. */
export async function compareLatency(isolation: string, options: LatencyOptions): Promise<object> {
  const paths = pathsOf(options);
  const rounds: [OpenLoopResult, OpenLoopResult][] = [];
  const reference = await RunningContender.start(bare(options.delayMilliseconds));
  try {
    const running = await RunningContender.start(hosted(isolation, options.module, options));
    try {
      for (const { port } of [reference, running]) await openLoop(port, paths, { ...options, seconds: 1 });
      for (let round = 0; round < options.rounds; round++)
        rounds.push([await openLoop(reference.port, paths, options), await openLoop(running.port, paths, options)]);
    } finally {
      await running.stop();
    }
  } finally {
    await reference.stop();
  }
  const added = (share: number) => spread(rounds.map(([a, b]) => percentile(b, share) - percentile(a, share)));
  const of = (at: 0 | 1, share: number) => spread(rounds.map((round) => percentile(round[at], share)));
  return {
    contender: isolation,
    ...options,
    addedP50Milliseconds: added(0.5),
    addedP99Milliseconds: added(0.99),
    p50Milliseconds: of(1, 0.5),
    p99Milliseconds: of(1, 0.99),
    bareP50Milliseconds: of(0, 0.5),
    bareP99Milliseconds: of(0, 0.99),
    failures: rounds.reduce((sum, [a, b]) => sum + a.failures + b.failures, 0),
  };
}

/** Where the CPU goes at that rate, of bare and of the contender. */
export async function profileLatency(isolation: string, options: LatencyOptions): Promise<object> {
  const profiles: Record<string, object> = {};
  for (const each of [bare(options.delayMilliseconds), hosted(isolation, options.module, options)]) {
    const running = await RunningContender.start(each);
    try {
      const paths = pathsOf(options);
      await openLoop(running.port, paths, { ...options, seconds: 10 });
      const load = async () => (await openLoop(running.port, paths, options)).milliseconds.length;
      profiles[each.name] = await profile(running, load);
    } finally {
      await running.stop();
    }
  }
  return { ...options, microsecondsPerRequest: profiles };
}

function pathsOf({ modules }: LatencyOptions): string[] {
  return Array.from({ length: modules }, (_, n) => (n === 0 ? '/m/' : `/m${n}/`));
}

function percentile({ milliseconds }: OpenLoopResult, share: number): number {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
