import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { here } from './contenders.js';

const program = join(here, 'servers/core.mjs');

/**
 * How steady each core is: the same work again and again with nothing else to do. A virtual machine's core shares its units with a neighbour that is somebody
 * else's, and is half as quick while that one is busy; no ratio of two measurements is better than that. @throws Error where `taskset` is missing.
 */
export async function measureCores(): Promise<object> {
  const cores: object[] = [];
  for (let core = 0; core < availableParallelism(); core++) {
    const { stdout } = await promisify(execFile)('taskset', ['--cpu-list', `${core}`, process.execPath, program]);
    const sorted = (JSON.parse(stdout) as number[]).sort((a, b) => a - b);
    const percentile = (share: number) => Number(sorted[Math.floor((sorted.length - 1) * share)]!.toFixed(2));
    cores.push({
      core,
      milliseconds: Object.fromEntries(
        [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99].map((share) => [`p${share * 100}`, percentile(share)]),
      ),
    });
  }
  return { contender: 'the cores alone', cores };
}
