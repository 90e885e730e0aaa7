import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { formatPidFile, readPidFile } from './supervisor/pid-file.js';
import { identifyProcess, isRunning } from './supervisor/process-identity.js';

const endingWaitSeconds = 15;
const endingMark = 'ending\n';

/** Thrown when another launcher lives on the same data directory. */
export class DataDirectoryInUseError extends Error {
  override readonly name = 'DataDirectoryInUseError';
}

/**
 * One launcher per data directory: a file with the holder's pid and start. A holder that is gone leaves a lock that the
 * next one takes over; one that has said it is ending is waited for.
 */
export class LauncherLock {
  private constructor(
    private readonly file: string,
    private readonly content: string,
  ) {}

  /** @throws DataDirectoryInUseError when a launcher that is not about to end holds it */
  static async acquire(file: string): Promise<LauncherLock> {
    const own = identifyProcess(process.pid);
    if (own === null) throw new Error(`This system does not tell when process ${process.pid} started.`);
    const content = formatPidFile(own);
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, content);
    try {
      const until = performance.now() + endingWaitSeconds * 1000;
      for (;;) {
        if (tryLink(draft, file)) return new LauncherLock(file, content);
        const seen = read(file);
        const holder = readPidFile(file);
        if (holder === null || !isRunning(holder)) takeAway(file, seen);
        else if (seen.endsWith(endingMark) && performance.now() < until) await delay(100);
        else {
          throw new DataDirectoryInUseError(
            `Another npm start, pid ${holder.pid}, already runs on this data directory (${file}). End that one, or set HOTSWAP_DATA_DIR and PORT to start a second one beside it.`,
          );
        }
      }
    } finally {
      rmSync(draft, { force: true });
    }
  }

  /** Tells a launcher that starts meanwhile to wait. */
  markEnding(): void {
    writeFileSync(`${this.file}.new`, this.content + endingMark);
    renameSync(`${this.file}.new`, this.file);
  }

  release(): void {
    if (read(this.file).startsWith(this.content)) rmSync(this.file, { force: true });
  }
}

/** Removes a dead holder's file; when another launcher was quicker and this is its new one, gives it back. */
function takeAway(file: string, seen: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (read(aside) !== seen) tryLink(aside, file);
  rmSync(aside, { force: true });
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
