import { writeSync } from 'node:fs';

const waitMilliseconds = 5;
const waitsMax = 100;
const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Where a process writes its log, line by line; for pino. A line that can't be written, because the disk is full, who read it has gone, or
 * reads nothing for half a second, is lost: a process serves on without its log, and ends when it is told to.
 */
export class LogDestination {
  private waitsLeft = waitsMax;
  private isTorn = false;

  constructor(private readonly file: number) {}

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
        this.waitsLeft = waitsMax;
      } catch (error) {
        // A pipe that is full. Who reads on gets everything; who does not is waited for once, not with every line.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || this.waitsLeft === 0) break;
        this.waitsLeft--;
        Atomics.wait(never, 0, 0, waitMilliseconds);
      }
    }
    return rest.length;
  }
}
