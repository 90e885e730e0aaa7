import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Duplex, Readable } from 'node:stream';
import type { Enclosure, Shape } from './enclosure.js';
import { messageOf } from './errors.js';
import { linkFiles } from './link-files.js';
import { processArguments } from './process-arguments.js';
import { SocketWire, type Wire } from './wire/wire.js';

const socketIndex = 3;
/** How long a process whose socket is closed may take to end by itself. */
const graceMilliseconds = 2000;

/** The operating system's side of an instance: a child process with an empty environment, its folder, its output, and the socket to it. */
export class InstanceProcess implements Enclosure {
  readonly pid: number | null;
  readonly wire: Wire;
  readonly output: Enclosure['output'];
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  /** @param directory is made, and removed when the process has ended; a real path. @throws Error where there is no room for it. */
  constructor(
    shape: Shape,
    private readonly directory: string,
  ) {
    mkdirSync(directory);
    this.#child = spawn(process.execPath, processArguments(shape, directory), {
      cwd: directory,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    this.pid = this.#child.pid ?? null;
    const exit = new Promise<string>((resolve) => {
      this.#child.once('error', (error) => resolve(`could not be started: ${messageOf(error)}`));
      this.#child.once('exit', (code, signal) =>
        resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
      );
    });
    this.ended = exit.finally(() => rm(directory, { recursive: true, force: true }).catch(() => undefined));
    const socket = this.#socket();
    this.wire = new SocketWire(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#endSoon());
    this.output = { stdout: this.#child.stdout as Readable, stderr: this.#child.stderr as Readable };
  }

  async furnish(packageDirectory: string): Promise<string> {
    await linkFiles(packageDirectory, this.directory);
    return this.directory;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<string> {
    this.wire.close();
    return this.ended;
  }

  /** @throws Error where the kernel had no descriptors left for a process. */
  #socket(): Duplex {
    // Undefined in that case, whatever its type says.
    const stdio = this.#child.stdio as ChildProcess['stdio'] | undefined;
    if (stdio === undefined) throw new Error('No process could be started: the kernel has too many open files.');
    return stdio[socketIndex] as Duplex;
  }

  #endSoon(): void {
    const timer = setTimeout(() => this.kill(), graceMilliseconds);
    void this.ended.then(() => clearTimeout(timer));
  }
}
