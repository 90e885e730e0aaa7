import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ProcessIdentity } from './process-identity.js';

/** The text of a pid file: the pid, then when that process started. */
export function formatPidFile({ pid, startedAt }: ProcessIdentity): string {
  return `${pid}\n${startedAt}\n`;
}

/** What a pid file names; null where there is none, or none that makes sense. */
export function readPidFile(file: string): ProcessIdentity | null {
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const pid = Number(lines[0]);
  return Number.isSafeInteger(pid) && pid > 1 && lines[1] ? { pid, startedAt: lines[1] } : null;
}

/** Replaces the file at once, so that a reader never sees half of it. */
export function writePidFile(file: string, identity: ProcessIdentity): void {
  writeFileSync(`${file}.new`, formatPidFile(identity));
  renameSync(`${file}.new`, file);
}

export function removePidFile(file: string): void {
  rmSync(file, { force: true });
}
