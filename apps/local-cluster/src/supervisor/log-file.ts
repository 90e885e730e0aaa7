import { closeSync, copyFileSync, fstatSync, openSync, readSync, renameSync, statSync, truncateSync } from 'node:fs';

const startBytesMax = 10 * 1024 * 1024;
const runningBytesMax = 50 * 1024 * 1024;
const readBytesMax = 256 * 1024;
const lineCharactersMax = 8 * 1024;
const pollMilliseconds = 500;

/**
 * The file that a child writes its output to by itself (so that it writes on when its parent is killed), and the reader that
 * follows it. Grown beyond 10 MiB it is set aside as `<file>.1` at the next start, beyond 50 MiB while running.
 */
export class LogFile {
  private position: number;
  private rest = '';
  private timer: NodeJS.Timeout | null = null;

  constructor(readonly path: string) {
    if (sizeOf(path) > startBytesMax) renameSync(path, `${path}.1`);
    this.position = sizeOf(path);
  }

  /** A descriptor for a child's output; the caller closes it. Appending, so that truncation is safe under a writer. */
  open(): number {
    return openSync(this.path, 'a', 0o640);
  }

  /** Calls `onLine` with each whole line written from now on. */
  follow(onLine: (line: string) => void): void {
    this.timer ??= setInterval(() => this.read(onLine), pollMilliseconds).unref();
  }

  /** Reads what is there now and stops following. */
  end(onLine: (line: string) => void): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.read(onLine);
  }

  /** Up to `count` of the last lines. */
  lastLines(count: number): string[] {
    return readFrom(this.path, Math.max(0, sizeOf(this.path) - 16 * 1024))
      .text.split('\n')
      .filter((line) => line !== '')
      .slice(-count);
  }

  private read(onLine: (line: string) => void): void {
    const size = sizeOf(this.path);
    if (size < this.position) this.position = 0;
    // Far behind: a person is served by the newest lines, the rest is in the file.
    if (size - this.position > 4 * readBytesMax) this.position = size - readBytesMax;
    const { text, bytes } = readFrom(this.path, this.position);
    this.position += bytes;
    const lines = (this.rest + text).split('\n');
    this.rest = (lines.pop() ?? '').slice(0, lineCharactersMax);
    for (const line of lines) onLine(line.slice(0, lineCharactersMax));
    if (size > runningBytesMax) {
      copyFileSync(this.path, `${this.path}.1`);
      truncateSync(this.path);
      this.position = 0;
    }
  }
}

function readFrom(path: string, position: number): { text: string; bytes: number } {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return { text: '', bytes: 0 };
  }
  try {
    const buffer = Buffer.alloc(Math.min(readBytesMax, Math.max(0, fstatSync(descriptor).size - position)));
    const bytes = readSync(descriptor, buffer, 0, buffer.length, position);
    return { text: buffer.toString('utf8', 0, bytes), bytes };
  } finally {
    closeSync(descriptor);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
