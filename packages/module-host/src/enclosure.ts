import type { Readable } from 'node:stream';
import type { Wire } from './wire/wire.js';

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
