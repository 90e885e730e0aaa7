import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RunningContender } from './contender.js';

/** Microseconds of CPU per request, by part. */
type Parts = Record<string, number>;

const samplesPerSecond = 2000;

/** The first that fits names the part. `of`: the symbol, and the file that it is in. */
const parts: { name: string; of: RegExp }[] = [
  { name: 'system', of: /\(\[(kernel\.kallsyms|vdso)/ },
  { name: 'JavaScript', of: /\((\[JIT\]|.*\/perf-\d+\.map)|^Builtins_/ },
  { name: 'C library', of: /\(.*\/lib(c|stdc\+\+|m)\.so/ },
  { name: 'HTTP parser', of: /^(llhttp_|node::http_parser)/ },
  {
    name: 'collector',
    of: /Scaveng|Heap|Mark|Sweep|Evacuat|Allocat|GlobalHandle|Weak|Worklist|MemoryChunk|RememberedSet/,
  },
  { name: 'compiler', of: /^v8::internal::(compiler|maglev|baseline|interpreter|Compiler|Parser|Scanner|turboshaft)/ },
  { name: 'Node and V8', of: /^/ },
];

/** What the processor does while a load runs, by thread and part; with `perf` (Debian: linux-perf). @throws Error where it is missing. */
export async function profile(
  running: RunningContender,
  seconds: number,
  load: () => Promise<number>,
): Promise<Record<string, Parts>> {
  const folder = mkdtempSync(join(tmpdir(), 'hotswap-profile-'));
  const file = join(folder, 'perf.data');
  try {
    const pids = running.pids();
    const options = ['--freq', `${samplesPerSecond}`, '--event', 'cpu-clock', '--pid', pids.join(), '--output', file];
    const recorder = spawn('perf', ['record', ...options, '--', 'sleep', `${seconds}`], { stdio: 'ignore' });
    const recorded = once(recorder, 'exit').catch(() => {
      throw new Error('perf, which takes the profile, is not installed (Debian: apt-get install linux-perf).');
    });
    const [requests] = await Promise.all([load(), recorded]);
    const fields = ['script', '--input', file, '--fields', 'comm,pid,tid,ip,sym,dso'];
    const { stdout } = await promisify(execFile)('perf', fields, { maxBuffer: 2 ** 28 });
    return perRequest(stdout, pids[0]!, requests);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function perRequest(samples: string, kernel: number, requests: number): Record<string, Parts> {
  const threads: Record<string, Parts> = {};
  for (const line of samples.split('\n')) {
    const fields = /^\s*(.*?)\s+(\d+)\/(\d+)\s+[0-9a-f]+ (.*)$/.exec(line);
    if (fields === null) continue;
    const [, name = '', pid, thread, place = ''] = fields;
    const taken = (threads[roleOf(name, Number(pid), Number(thread), kernel)] ??= { all: 0 });
    const part = parts.find(({ of }) => of.test(place))!.name;
    taken[part] = (taken[part] ?? 0) + 1;
    taken['all']!++;
  }
  const microseconds = 1e6 / samplesPerSecond / requests;
  for (const taken of Object.values(threads))
    for (const [part, count] of Object.entries(taken)) taken[part] = Number((count * microseconds).toFixed(2));
  return threads;
}

function roleOf(name: string, pid: number, thread: number, kernel: number): string {
  if (pid === kernel && thread === kernel) return 'main thread';
  if (/V8Worker|libuv/.test(name)) return 'helper threads';
  return 'instances';
}
