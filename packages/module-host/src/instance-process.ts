import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex, Readable } from 'node:stream';
import { ConsoleLines } from './console-lines.js';
import { messageOf } from './errors.js';
import type { ModuleLogEntry } from './module-log.js';
import { processArguments } from './process-arguments.js';
import type { LoadableRelease } from './release.js';
import { SocketWire, type Wire } from './wire/wire.js';

const socketIndex = 3;
/** How long a process whose socket is closed may take to end by itself. */
const graceMilliseconds = 2000;

/** The operating system's side of an instance: a child process with an empty environment, its output, and the socket to it. */
export class InstanceProcess {
  readonly pid: number | null;
  readonly wire: Wire;
  /** How the process ended, in words, once it has. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  /** @param log gets the module's console output. */
  constructor(
    release: LoadableRelease,
    log: (level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], message: string) => void,
  ) {
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
    const dropped = (count: number) =>
      log('warn', 'host', `${count} lines of output were left out: too many in a second.`);
    new ConsoleLines(this.#child.stdout as Readable, (line) => log('info', 'module', line), dropped);
    new ConsoleLines(this.#child.stderr as Readable, (line) => log('error', 'module', line), dropped);
  }

  /** At once, whatever it does. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Closes the socket, which ends the process; by force where that does not. */
  async end(): Promise<string> {
    this.wire.close();
    return this.ended;
  }

  #endSoon(): void {
    const timer = setTimeout(() => this.kill(), graceMilliseconds);
    void this.ended.then(() => clearTimeout(timer));
  }
}
