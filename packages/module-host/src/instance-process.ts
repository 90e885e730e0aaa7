import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';
import type { Enclosure } from './enclosure.js';
import { messageOf } from './errors.js';
import { processArguments } from './process-arguments.js';
import type { LoadableRelease } from './release.js';
import { SocketWire, type Wire } from './wire/wire.js';

const socketIndex = 3;
/** How long a process whose socket is closed may take to end by itself. */
const graceMilliseconds = 2000;

/** The operating system's side of an instance: a child process with an empty environment, its output, and the socket to it. */
export class InstanceProcess implements Enclosure {
  readonly pid: number | null;
  readonly wire: Wire;
  readonly output: Enclosure['output'];
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  constructor(release: LoadableRelease) {
    this.#child = spawn(process.execPath, processArguments(release), {
      cwd: release.directory,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    this.pid = this.#child.pid ?? null;
    const socket = this.#child.stdio[socketIndex] as Duplex;
    this.wire = new SocketWire(socket);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(`could not be started: ${messageOf(error)}`));
      this.#child.once('exit', (code, signal) =>
        resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
      );
    });
    socket.on('error', () => undefined);
    socket.once('close', () => this.#endSoon());
    this.output = { stdout: this.#child.stdout as Readable, stderr: this.#child.stderr as Readable };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<string> {
    this.wire.close();
    return this.ended;
  }

  #endSoon(): void {
    const timer = setTimeout(() => this.kill(), graceMilliseconds);
    void this.ended.then(() => clearTimeout(timer));
  }
}
