import { readFileSync } from 'node:fs';

/** A process' resident memory as the system counts it, whatever the process says or does; null where the system does not tell, or the process has gone. */
export function residentBytesOf(pid: number): number | null {
  if (process.platform !== 'linux') return null;
  try {
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
