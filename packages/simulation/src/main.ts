import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { controls } from './controls.js';
import { findMissing } from './exercised.js';
import type { SeedWorkerData } from './seed-worker.js';
import type { Outcome } from './simulate.js';

/** From so many seeds on everything of interest has to have happened. */
const seedsOfAFullRun = 300;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    without: { type: 'string' },
    first: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const seeds = numberOf('seeds', values.seeds);
const from = numberOf('from', values.from);
const workerCount = Math.min(numberOf('workers', values.workers), seeds);
const without = values.without ?? null;
if (without !== null && !Object.hasOwn(controls, without))
  fail(`--without ${without}: give one of ${Object.keys(controls).join(', ')}`);

const startedAt = performance.now();
const counts = new Map<string, number>();
let failedCount = 0;
let next = from;
await Promise.all(Array.from({ length: workerCount }, () => work()));

const names = [...counts.keys()].sort();
console.log(names.map((name) => `  ${name}: ${counts.get(name)}`).join('\n'));
const seconds = (performance.now() - startedAt) / 1000;
console.log(
  `${next - from} seeds from ${from}, ${failedCount} with findings, in ${seconds.toFixed(1)} s (${Math.round((seconds * 1000 * workerCount) / (next - from))} ms each on ${workerCount} threads)`,
);
const missing = seeds >= seedsOfAFullRun && without === null && !values.first ? findMissing(counts) : [];
if (missing.length > 0) console.log(`Never happened: ${missing.join(', ')}`);
process.exitCode = failedCount > 0 || missing.length > 0 ? 1 : 0;

/** Runs seeds on a thread of its own, one after the other, until there are none left. */
async function work(): Promise<void> {
  const workerData: SeedWorkerData = { without };
  const worker = new Worker(new URL('./seed-worker.js', import.meta.url), { workerData });
  await new Promise<void>((resolve, reject) => {
    const isEnough = () => next >= from + seeds || (values.first && failedCount > 0);
    const ask = () => (isEnough() ? resolve() : worker.postMessage(next++));
    worker.on('error', reject);
    worker.on('message', (outcome: Outcome) => {
      take(outcome);
      ask();
    });
    ask();
  });
  await worker.terminate();
}

function take({ seed, findings, counts: counted, log, digest }: Outcome): void {
  for (const [what, count] of counted) counts.set(what, (counts.get(what) ?? 0) + count);
  if (values.verbose) console.log(`${log}\nseed ${seed}: log ${digest}`);
  const [first] = findings;
  if (!first) return;
  failedCount++;
  const again = `npm run sim -- ${without === null ? '' : `--without ${without} `}--from ${seed} --seeds 1 --verbose`;
  console.log(
    `seed ${seed}, after ${(first.at / 1000).toFixed(1)} s: ${first.rule} (${first.detail}). Again: ${again}`,
  );
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) fail(`--${name} ${text}: give a whole number from 1`);
  return value;
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
