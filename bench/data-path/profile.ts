import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
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
export async function profile(running: RunningContender, load: () => Promise<number>): Promise<Record<string, Parts>> {
  const folder = mkdtempSync(join(tmpdir(), 'hotswap-profile-'));
  const file = join(folder, 'perf.data');
  try {
    const pids = running.pids();
    const requests = await recorded(['--pid', pids.join(), '--output', file], load);
    const fields = ['script', '--input', file, '--fields', 'comm,pid,tid,ip,sym,dso'];
    const { stdout } = await promisify(execFile)('perf', fields, { maxBuffer: 2 ** 28 });
    return perRequest(stdout, pids[0]!, requests);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Records from the load's beginning to its end: perf takes a while to attach, and is told when. */
async function recorded<Result>(options: string[], load: () => Promise<Result>): Promise<Result> {
  const what = ['--freq', `${samplesPerSecond}`, '--event', 'cpu-clock', '--delay=-1', '--control=fd:3,4'];
  const recorder = spawn('perf', ['record', ...what, ...options], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const missing = new Error('perf, which takes the profile, can not be run (Debian: apt-get install linux-perf).');
  const ended = once(recorder, 'exit').catch(() => [-1]) as Promise<[number | null]>;
  const [orders, answers] = [recorder.stdio[3] as Duplex, recorder.stdio[4] as Duplex];
  for (const pipe of [orders, answers]) pipe.on('error', () => undefined);
  const told = async (order: string) => {
    orders.write(`${order}\n`);
    await Promise.race([once(answers, 'data'), ended.then(() => Promise.reject(missing))]);
  };
  try {
    await told('enable');
    const result = await load();
    await told('disable');
    orders.write('stop\n');
    if ((await ended)[0] !== 0) throw missing;
    return result;
  } finally {
    recorder.kill('SIGINT');
    await ended;
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
