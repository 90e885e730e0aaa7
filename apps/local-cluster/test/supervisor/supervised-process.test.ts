import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import { endProcess } from '../../src/supervisor/end-process.js';
import { formatPidFile, readPidFile } from '../../src/supervisor/pid-file.js';
import { identifyProcess, isRunning } from '../../src/supervisor/process-identity.js';
import { endLeftover, SupervisedProcess, type ProcessPlan } from '../../src/supervisor/supervised-process.js';
import { surfaceJsonLine } from '../../src/supervisor/surfaced-output.js';
import { waitFor } from '../wait-for.js';

const steps = [
  { signal: 'SIGTERM' as const, waitSeconds: 20 },
  { signal: 'SIGKILL' as const, waitSeconds: 5 },
];
const idle = 'setInterval(() => {}, 1000);';
const deaf = `process.on('SIGTERM', () => {}); ${idle} console.log('up');`;

describe('SupervisedProcess', () => {
  let folder: string;
  let logged: string[];
  let log: Logger;
  let started: SupervisedProcess[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hotswap-supervisor-'));
    logged = [];
    started = [];
    log = pino({}, { write: (line: string) => void logged.push(line) });
  });
  afterEach(async () => {
    const hurry = AbortSignal.abort();
    await Promise.all(started.map((process) => process.end(hurry)));
    rmSync(folder, { recursive: true });
  });

  function planOf(script: string): ProcessPlan {
    return {
      name: 'child',
      command: process.execPath,
      arguments: ['-e', script],
      variables: { PATH: process.env['PATH'] },
      workingDirectory: folder,
      user: null,
      logFile: join(folder, 'child.log'),
      pidFile: join(folder, 'child.pid'),
      endSteps: steps,
      surface: surfaceJsonLine,
    };
  }
  function start(plan: ProcessPlan): SupervisedProcess {
    const supervised = new SupervisedProcess(plan, log);
    started.push(supervised);
    supervised.start();
    return supervised;
  }
  const output = () => (existsSync(join(folder, 'child.log')) ? readFileSync(join(folder, 'child.log'), 'utf8') : '');
  const pidInFile = () => readPidFile(join(folder, 'child.pid'))?.pid ?? null;

  it('leaves a child ended that says by its end that it is over, and only then', async () => {
    let why: string | null = null;
    const supervised = start({ ...planOf('process.exit(0)'), isOver: () => why });
    await waitFor('it to be started again', () => logged.some((line) => line.includes('starting again')) || null);
    why = 'it was taken out';
    await waitFor('it to be left', () => logged.some((line) => line.includes('it was taken out')) || null);
    expect([supervised.pid, pidInFile()]).toEqual([null, null]);
    const count = logged.length;
    await supervised.end();
    expect(logged).toHaveLength(count);

    const failing = start({ ...planOf('process.exit(3)'), isOver: () => why });
    await waitFor('it to be started again', () => (failing.failedStarts > 1 ? true : null));
  });

  it('starts a killed child again, with a new pid in its file, and ends it for good', async () => {
    const supervised = start(planOf(idle));
    const first = supervised.pid ?? 0;
    expect(pidInFile()).toBe(first);
    expect(readFileSync(join(folder, 'child.pid'), 'utf8').split('\n')[0]).toBe(String(first));

    process.kill(first, 'SIGKILL');
    const second = await waitFor('a second child', () => (supervised.pid === first ? null : supervised.pid));
    expect(pidInFile()).toBe(second);
    expect(logged.join('')).toContain('ended unasked by SIGKILL');

    const identity = identifyProcess(second);
    await supervised.end();
    expect(identity && isRunning(identity)).toBe(false);
    expect(existsSync(join(folder, 'child.pid'))).toBe(false);
  });

  it('waits longer before each start of a child that keeps ending, and shows its last words', async () => {
    const supervised = start(planOf('console.error("no database"); process.exit(3);'));
    await waitFor('three ends', () => supervised.failedStarts === 3);
    const lines = logged.map((line) => JSON.parse(line) as { msg: string; lastLines?: string[] });
    const waits = lines.map(({ msg }) => /with code 3 .* again in ([\d.]+) s/.exec(msg)?.[1]);
    expect(waits).toEqual(['0.25', '0.5', '1']);
    expect(lines[0]?.lastLines).toEqual(['no database']);
  });

  it('goes on trying when the command is missing', async () => {
    const supervised = start({ ...planOf(''), command: join(folder, 'missing') });
    await waitFor('two attempts', () => supervised.failedStarts >= 2);
    expect(logged.join('')).toContain('ENOENT');
  });

  it('leads a group of its own, which a child that does not end is killed with', async () => {
    const grandchild = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(idle)}], { stdio: 'ignore' }).pid`;
    const supervised = start(planOf(`${deaf} console.log('grandchild', ${grandchild});`));
    const pid = Number(await waitFor('the grandchild', () => /grandchild (\d+)/.exec(output())?.[1]));
    const identity = identifyProcess(pid);
    expect(identity).not.toBeNull();
    await supervised.end(AbortSignal.abort());
    await waitFor('the grandchild’s end', () => identity && !isRunning(identity));
  });

  it('shows warnings and errors of the child’s log, and nothing else of it', async () => {
    const lines = [
      { level: 30, msg: 'quiet' },
      { level: 40, msg: 'a warning' },
      { level: 'error', msg: 'an error', err: { message: 'disk full' } },
    ];
    start(planOf(`${lines.map((line) => `console.log(${JSON.stringify(JSON.stringify(line))});`).join('')} ${idle}`));
    await waitFor('both lines', () => logged.length >= 2);
    expect(logged.map((line) => (JSON.parse(line) as { level: number; msg: string }).msg)).toEqual([
      'a warning',
      'an error: disk full',
    ]);
  });

  it('ends what an earlier launcher left, but never another process with its pid', async () => {
    const child = spawn(process.execPath, ['-e', idle], { stdio: 'ignore', detached: true });
    const exited = once(child, 'exit');
    const identity = identifyProcess(child.pid ?? 0);
    if (identity === null) throw new Error('The child does not run');
    const file = join(folder, 'left.pid');

    writeFileSync(file, formatPidFile({ ...identity, startedAt: 'before' }));
    await endLeftover(file, 'left', steps, log);
    expect(isRunning(identity)).toBe(true);
    expect(existsSync(file)).toBe(false);
    expect(await endProcess({ ...identity, startedAt: 'before' }, steps)).toBe(true);
    expect(isRunning(identity)).toBe(true);

    writeFileSync(file, formatPidFile(identity));
    await endLeftover(file, 'left', steps, log);
    expect(await exited).toEqual([null, 'SIGTERM']);
    expect(existsSync(file)).toBe(false);
  });

  it('sets aside a log that has grown too big', () => {
    writeFileSync(join(folder, 'child.log'), Buffer.alloc(11 * 1024 * 1024, 'x'));
    start(planOf(idle));
    expect(existsSync(join(folder, 'child.log.1'))).toBe(true);
    expect(output().length).toBe(0);
  });
});
