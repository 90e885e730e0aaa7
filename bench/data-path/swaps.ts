import { setTimeout } from 'node:timers/promises';
import { type Contender, RunningContender, type Swapped } from './contender.js';
import { interruption } from './interruption.js';
import { median, spread } from './spread.js';
import { SwapRounds } from './swap-rounds.js';

export interface SwapOptions {
  swaps: number;
  everyMilliseconds: number;
  /** The run goes on swapping until so many requests are answered. */
  requestsMin: number;
  connections: number;
}

const roundMilliseconds = 4000;
/** Until a spare is there again, with time to spare. */
const restMilliseconds = 1000;

/**
 * Swaps under full load, in rounds: one without swaps, one with them, and so on. Answers what was lost and how, how much slower the slowest of a hundred
 * requests is in a round with swaps than in the one before, and how long a swap takes.
 */
export async function runSwaps(contender: Contender, options: SwapOptions): Promise<object> {
  const running = await RunningContender.start(contender);
  const swaps: Swapped[] = [];
  const p99s: { steady: number; swapping: number }[] = [];
  const isPlain = contender.isPlain ?? false;
  const load = new SwapRounds({ port: running.port, path: contender.path, isPlain }, options.connections);
  const swap = async () => {
    const swapped = await running.swap(`1.0.${swaps.length + 1}`);
    swaps.push(swapped);
    await pause(Math.max(0, options.everyMilliseconds - swapped.milliseconds));
  };
  try {
    const isDone = () => swaps.length >= options.swaps && load.totals.requests >= options.requestsMin;
    while (!isDone() && !interruption.aborted) {
      const steady = await load.round(() => pause(roundMilliseconds, interruption));
      const swapping = await load.round(async () => {
        const until = performance.now() + roundMilliseconds;
        while (performance.now() < until && !interruption.aborted) await swap();
      });
      if (!interruption.aborted) p99s.push({ steady, swapping });
    }
  } finally {
    await load.stop();
    await running.stop();
  }
  return {
    contender: contender.name,
    ...load.totals,
    swaps: swaps.length,
    swapMilliseconds: spread(swaps.map(({ milliseconds }) => milliseconds)),
    ...(contender.reload === undefined && { began: countBy(swaps.map(({ began }) => began)) }),
    p99Milliseconds: {
      steady: spread(p99s.map(({ steady }) => steady)),
      swapping: spread(p99s.map(({ swapping }) => swapping)),
      ratio: spread(p99s.map(({ steady, swapping }) => swapping / steady)),
    },
  };
}

/** How long a swap takes with a spare ready and nothing else to do, and the way back to what is still warm. */
export async function timeSwaps(contender: Contender, count: number): Promise<object> {
  const running = await RunningContender.start(contender);
  const swaps: Swapped[] = [];
  const waysBack: number[] = [];
  try {
    for (let turn = 1; turn <= count; turn++) {
      await use(running);
      await pause(restMilliseconds);
      swaps.push(await running.swap(`1.0.${turn}`));
      await use(running);
      waysBack.push((await running.swap('back')).milliseconds);
    }
  } finally {
    await running.stop();
  }
  const fromSpare = swaps.filter(({ began }) => began === 'spare');
  const phase = (name: string) => median(fromSpare.map(({ phaseSeconds }) => (phaseSeconds[name] ?? 0) * 1000));
  return {
    contender: contender.name,
    began: countBy(swaps.map(({ began }) => began)),
    withSpareMilliseconds: spread(fromSpare.map(({ milliseconds }) => milliseconds)),
    ofWhichLoad: phase('load'),
    ofWhichStart: phase('start'),
    wayBackMilliseconds: spread(waysBack),
  };
}

/** What has served nothing yet is slow to answer for another reason. */
async function use(running: RunningContender): Promise<void> {
  for (let request = 0; request < 200; request++)
    await (await fetch(`http://127.0.0.1:${running.port}${running.contender.path}`)).arrayBuffer();
}

async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined);
}

function countBy(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
