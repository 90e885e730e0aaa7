import { parseArgs } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';
import { swapped } from './contenders.js';
import { RunningContender, type Swapped } from './contender.js';
import { interruption } from './interruption.js';
import { median } from './spread.js';

const usage = `Usage: npm run bench:leak -- [options]
  --swaps N        swaps, one after the other, each with requests before it (default 5000)
  --isolation I    process or thread (default process)
  --plant NAME     plants a leak: "host" keeps every release, and 64 KiB beside it, in the kernel's process`;

const { values } = parseArgs({
  options: {
    swaps: { type: 'string', default: '5000' },
    isolation: { type: 'string', default: 'process' },
    plant: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

/** What is looked at: of the kernel's process, after a full collection. */
const amounts = {
  'heap, MiB': ({ heapBytes }: Swapped) => heapBytes / 2 ** 20,
  'outside of the heap, MiB': ({ externalBytes }: Swapped) => externalBytes / 2 ** 20,
  'resident, MiB': ({ rssBytes }: Swapped) => rssBytes / 2 ** 20,
};
/** Of a tenth the least counts: what is just ending or beginning when it is looked at only adds to it, and what has leaked is always there. */
const counts = {
  handles: ({ handles }: Swapped) => handles,
  'file descriptors': ({ descriptors }: Swapped) => descriptors,
};
const growthMax = 1.1;
const heldMax = 10;

if (values.help) console.log(usage);
else process.exitCode = (await run()) ? 0 : 1;

/** Whether all figures are flat. */
async function run(): Promise<boolean> {
  const running = await RunningContender.start(
    swapped(values.isolation, { nodeArguments: ['--expose-gc'], plant: values.plant }),
  );
  const seen: Swapped[] = [];
  const count = Number(values.swaps);
  try {
    for (let turn = 1; turn <= count && !interruption.aborted; turn++) {
      for (let request = 0; request < 5; request++)
        await (await fetch(`http://127.0.0.1:${running.port}${running.contender.path}`)).arrayBuffer();
      seen.push(await running.swap(`1.0.${turn}`));
      if (turn % 100 === 0) console.error(`${turn} swaps`);
      await pause(1);
    }
  } catch (error) {
    // A signal to the whole group ends the node as well.
    if (!interruption.aborted) throw error;
  } finally {
    await running.stop();
  }
  const tenth = Math.max(1, Math.floor(seen.length / 10));
  const row = (name: string, of: (one: Swapped) => number, figure: (values: number[]) => number) => {
    const secondTenth = figure(seen.slice(tenth, 2 * tenth).map(of));
    const lastTenth = figure(seen.slice(-tenth).map(of));
    return { name, secondTenth, lastTenth, isFlat: lastTenth <= secondTenth * growthMax };
  };
  const rows = [
    ...Object.entries(amounts).map(([name, of]) => row(name, of, median)),
    ...Object.entries(counts).map(([name, of]) => row(name, of, (values) => Math.min(...values))),
  ];
  console.log(JSON.stringify({ isolation: values.isolation, swaps: seen.length, figures: rows }, null, 2));
  const growing = rows.filter(({ isFlat }) => !isFlat);
  if (growing.length === 0) return true;
  console.error(`Grows: ${growing.map(({ name }) => name).join('; ')}. ${suspects(seen.at(-1)!)}`);
  return false;
}

/** By name: which releases have ended and are in the kernel's memory nevertheless. A few of the last may only wait for the collector. */
function suspects({ kept }: Swapped): string {
  if (kept.length <= heldMax) return 'No release that has ended is still held.';
  return `${kept.length} releases have ended and are still held: m@${kept.slice(0, 5).join(', m@')} and so on.`;
}
