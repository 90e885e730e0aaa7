import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Enclose } from './enclosure.js';
import { InstanceProcess } from './instance-process.js';
import { InstanceThread } from './instance-thread.js';

/**
 * Encloses instances in processes and threads. Each process gets a folder of its own below `directory`, which it may read, for the time it runs.
 *
 * @param directory is made where it is missing; best on the file system that packages are unpacked to, else their files are copied in the place of links.
 */
export function encloseIn(directory: string): Enclose {
  mkdirSync(directory, { recursive: true });
  // What may be read is compared with real paths.
  const root = realpathSync(directory);
  let count = 0;
  return (shape) =>
    shape.isolation === 'thread' ? new InstanceThread(shape) : new InstanceProcess(shape, join(root, String(++count)));
}
