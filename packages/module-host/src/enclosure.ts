import { ConsoleLines } from './console-lines.js';
import { InstanceProcess } from './instance-process.js';
import { InstanceThread } from './instance-thread.js';
import type { ModuleLogEntry } from './module-log.js';
import type { LoadableRelease } from './release.js';
import type { Wire } from './wire/wire.js';
import type { Readable } from 'node:stream';

/** What an instance runs in: a process of its own, or a thread of the kernel's. */
export interface Enclosure {
  /** Null: it has no process of its own (any more to be had). */
  readonly pid: number | null;
  readonly wire: Wire;
  /** Its console output. */
  readonly output: { stdout: Readable; stderr: Readable };
  /** How it ended, in words that follow its name, once it has. */
  readonly ended: Promise<string>;
  /** At once, whatever it does. */
  kill(): void;
  /** Closes the wire, which ends it; by force where that does not. */
  end(): Promise<string>;
}

/** @param log gets the module's console output. */
export function enclose(
  release: LoadableRelease,
  log: (level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], message: string) => void,
): Enclosure {
  const enclosure =
    release.manifest.isolation === 'thread' ? new InstanceThread(release) : new InstanceProcess(release);
  const { stdout, stderr } = enclosure.output;
  const dropped = (count: number) =>
    log('warn', 'host', `${count} lines of output were left out: too many in a second.`);
  new ConsoleLines(stdout, (line) => log('info', 'module', line), dropped);
  new ConsoleLines(stderr, (line) => log('error', 'module', line), dropped);
  return enclosure;
}
