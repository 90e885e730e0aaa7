import type { Readable } from 'node:stream';
import type { Manifest } from '@hotswap/module-kit';
import type { Wire } from './wire/wire.js';

/** What an instance runs in: a process of its own, or a thread of the kernel's. Started before it is known for which release. */
export interface Enclosure {
  /** Null: it has no process of its own (any more to be had). */
  readonly pid: number | null;
  readonly wire: Wire;
  /** Its console output. */
  readonly output: { stdout: Readable; stderr: Readable };
  /** How it ended, in words that follow its name, once it has. */
  readonly ended: Promise<string>;
  /** Puts a package's files where they may be read from inside, and answers that folder. Called once. */
  furnish(packageDirectory: string): Promise<string>;
  /** At once, whatever it does. */
  kill(): void;
  /** Closes the wire, which ends it; by force where that does not. */
  end(): Promise<string>;
}

/** What is fixed when an enclosure is started. */
export interface Shape {
  isolation: Manifest['isolation'];
  permissions: Manifest['permissions'];
  memoryMiB: number;
}

export type Enclose = (shape: Shape) => Enclosure;

/** What no manifest has to ask for. */
export const defaultShape: Shape = {
  isolation: 'process',
  permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false },
  memoryMiB: 128,
};

export function shapeOf({ isolation, permissions, limits: { memoryMiB } }: Manifest): Shape {
  // To a thread, permissions mean nothing.
  const { network, fileRead, fileWrite, childProcess } =
    isolation === 'thread' ? defaultShape.permissions : permissions;
  // Field by field: `isAlike` depends on their order.
  return { isolation, permissions: { network, fileRead, fileWrite, childProcess }, memoryMiB };
}

/** Of shapes made by `shapeOf`. */
export function isAlike(a: Shape, b: Shape): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
