import { writeSync } from 'node:fs';

const waitMilliseconds = 5;
const waitingMillisecondsMax = 500;
const periodMilliseconds = 30_000;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Where a process writes its log, line by line; for pino. A line that can't be written is lost, because the disk is full, who read it has
 * gone, or the pipe is full: who reads slowly, or nothing, is waited for half a second in every half minute, and gets what there is room for
 * after that. A process serves on without its log, and ends when it is told to.
 */
export class LogDestination {
  private periodEnd = -Infinity;
  private waitedMilliseconds = 0;
  private isTorn = false;

  constructor(private readonly file: number) {
    // A pipe blocks for as long as nobody reads it, until Node makes it non-blocking, which it does where somebody first asks for the stream.
    if (file === 1) void process.stdout;
  }

  write(line: string): void {
    const whole = Buffer.from(this.isTorn ? `\n${line}` : line);
    const left = this.writeMost(whole);
    if (left < whole.length) this.isTorn = left > 0;
  }

  /** Answers how many bytes are left. */
  private writeMost(bytes: Buffer): number {
    let rest = bytes;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.file, rest));
      } catch (error) {
        // A pipe that is full.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || !this.wait()) break;
      }
    }
    return rest.length;
  }

  /** Answers false, at once, where this half minute's waiting is used up. */
  private wait(): boolean {
    const from = performance.now();
    if (from >= this.periodEnd) {
      this.periodEnd = from + periodMilliseconds;
      this.waitedMilliseconds = 0;
    }
    if (this.waitedMilliseconds >= waitingMillisecondsMax) return false;
    Atomics.wait(never, 0, 0, waitMilliseconds);
    this.waitedMilliseconds += performance.now() - from;
    return true;
  }
}
