import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * A process that can be told from a later one with the same pid: `startedAt` is what the system says about its start (on
 * Linux the boot's id and the clock ticks since; elsewhere the text of `ps -o lstart`). Compare it, don't read it.
 */
export interface ProcessIdentity {
  pid: number;
  startedAt: string;
}

/** Who runs under this pid now; null when nobody does (a zombie counts as nobody). */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const startedAt = process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);
  return startedAt === null ? null : { pid, startedAt };
}

/** Whether exactly this process still runs, not merely some process with its pid. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

function startFromProc(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The second field is the command in parentheses and may hold anything: count from the last ")". Then field 3 is the
  // state and field 22 the start in ticks since boot (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  if (state === undefined || ticks === undefined || 'ZX'.includes(state)) return null;
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${ticks}`;
}

function startFromPs(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5_000,
    }).trim();
    const [, state, startedAt] = /^(\S+)\s+(.+)$/.exec(line) ?? [];
    return state === undefined || startedAt === undefined || state.startsWith('Z') ? null : startedAt;
  } catch {
    return null;
  }
}
