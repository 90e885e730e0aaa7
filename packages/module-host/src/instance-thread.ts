import { Worker } from 'node:worker_threads';
import type { Enclosure, Shape } from './enclosure.js';
import { messageOf } from './errors.js';
import { threadProgram } from './process-arguments.js';
import { PortWire, type Wire } from './wire/wire.js';

/**
 * A thread of the kernel's process: cheaper to start and to run than a process, and no more than a fence against mistakes. It has its own heap limit and an
 * empty environment, but not the permission model; and some ways to fill a heap end the kernel with it. Only for modules that are trusted like the kernel.
 */
export class InstanceThread implements Enclosure {
  readonly pid = null;
  readonly wire: Wire;
  readonly ended: Promise<string>;
  readonly output: Enclosure['output'];
  readonly #worker: Worker;

  constructor({ memoryMiB }: Shape) {
    const takenBytes = new Int32Array(new SharedArrayBuffer(8));
    this.#worker = new Worker(threadProgram, {
      workerData: takenBytes,
      name: 'hotswap instance',
      env: {},
      argv: [],
      execArgv: [],
      stdout: true,
      stderr: true,
      // The young generation is three semi-spaces; small, as in a process.
      resourceLimits: { maxOldGenerationSizeMb: memoryMiB, maxYoungGenerationSizeMb: 12 },
    });
    this.output = this.#worker;
    this.wire = new PortWire(this.#worker, takenBytes);
    let failure: string | null = null;
    this.#worker.on('error', (error: unknown) => (failure = messageOf(error)));
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) =>
        resolve(failure === null ? `ended with exit code ${code}` : `ended: ${failure}`),
      );
    });
  }

  /** A thread may read what the kernel may. */
  async furnish(packageDirectory: string): Promise<string> {
    return packageDirectory;
  }

  kill(): void {
    void this.#worker.terminate();
  }

  async end(): Promise<string> {
    await this.#worker.terminate();
    return this.ended;
  }
}
