import { setTimeout as pause } from 'node:timers/promises';
import { type Contender, RunningContender } from './contender.js';
import { load } from './load.js';

export interface SwapOptions {
  swaps: number;
  everyMilliseconds: number;
  /** The run goes on swapping until so many requests are answered. */
  requestsMin: number;
  connections: number;
}

/** Swaps under full load; answers what was lost, and how latency and memory went. */
export async function runSwaps(contender: Contender, options: SwapOptions): Promise<object> {
  const running = await RunningContender.start(contender);
  const total = { requests: 0, failures: 0 };
  const swapMilliseconds: number[] = [];
  const memory: { rss: number; handles: number }[] = [];
  const target = { port: running.port, path: contender.path, paceMilliseconds: 0 };
  let isOver = false;
  const rounds: number[] = [];
  const loads = (async () => {
    while (!isOver) {
      const parts = await Promise.all([
        load({ ...target, connections: Math.ceil(options.connections / 2), seconds: 2, bodyBytes: 0 }),
        load({ ...target, connections: Math.floor(options.connections / 2), seconds: 2, bodyBytes: 10_240 }),
      ]);
      for (const { requests, failures } of parts) {
        total.requests += requests;
        total.failures += failures;
      }
      rounds.push(Math.max(...parts.map(({ p99 }) => p99)));
    }
  })();
  try {
    for (let swap = 1; swap <= options.swaps || total.requests < options.requestsMin; swap++) {
      const { milliseconds, rss, handles } = await running.swap(`1.0.${swap}`);
      swapMilliseconds.push(milliseconds);
      memory.push({ rss, handles });
      await pause(Math.max(0, options.everyMilliseconds - milliseconds));
    }
  } finally {
    isOver = true;
    await loads;
    await running.stop();
  }
  const median = (numbers: number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
  const tenth = Math.max(1, Math.floor(memory.length / 10));
  return {
    contender: contender.name,
    ...total,
    swaps: swapMilliseconds.length,
    swapMilliseconds: { median: median(swapMilliseconds), max: Math.max(...swapMilliseconds) },
    p99Milliseconds: median(rounds),
    rssMiB: {
      secondTenth: median(memory.slice(tenth, 2 * tenth).map(({ rss }) => rss)) / 2 ** 20,
      lastTenth: median(memory.slice(-tenth).map(({ rss }) => rss)) / 2 ** 20,
    },
    handles: {
      secondTenth: median(memory.slice(tenth, 2 * tenth).map(({ handles }) => handles)),
      lastTenth: median(memory.slice(-tenth).map(({ handles }) => handles)),
    },
  };
}
