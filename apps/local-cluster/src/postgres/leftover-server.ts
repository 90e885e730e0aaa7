import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { endProcess, type EndSteps } from '../supervisor/end-process.js';
import { identifyProcess } from '../supervisor/process-identity.js';

/**
 * Clears the way for a server on `data`. What postmaster.pid names is ended when it is a server of this very folder (its
 * command line says so); when the pid has gone to another process, which would make Postgres refuse to start, only the file
 * goes. A file whose process is gone is left to Postgres, which checks more than the pid.
 * @throws Error when the old server does not end
 */
export async function endLeftoverServer(data: string, steps: EndSteps): Promise<void> {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  const identity = Number.isSafeInteger(pid) && pid > 1 ? identifyProcess(pid) : null;
  if (identity === null) return;
  if (!commandLineOf(pid).includes(data)) {
    rmSync(file, { force: true });
  } else if (!(await endProcess(identity, steps))) {
    throw new Error(`A Postgres server from an earlier start, pid ${pid}, does not end. End it, then start again.`);
  }
}

/** The words of a process' command line; none when it has gone. */
function commandLineOf(pid: number): string[] {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const line = execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 });
    return line.trim().split(' ');
  } catch {
    return [];
  }
}
