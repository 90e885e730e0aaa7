import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Contender {
  name: string;
  command: string[];
  /** Where it serves; null: it prints `port N`. */
  port: number | null;
  path: string;
  /** By environment variables beside PATH. */
  env?: Record<string, string>;
  /** It has one answer for whatever it is asked. */
  isPlain?: boolean;
  /** Command that swaps it as a whole; left out: it is told to on its standard input. */
  reload?: string[];
}

/** What a hosted node tells of a swap; sizes are those of the kernel's process. */
export interface Swapped {
  milliseconds: number;
  began: string;
  phaseSeconds: Record<string, number>;
  rssBytes: number;
  heapBytes: number;
  externalBytes: number;
  handles: number;
  descriptors: number;
  /** Names of what has been let go and is held nevertheless. */
  kept: string[];
}

/** A server under test, in processes of its own. */
export class RunningContender {
  port = 0;
  readonly #child: ChildProcess;
  readonly #waiting: ((line: string) => void)[] = [];
  /** Rejects when its program can't be started, or has ended. */
  readonly #ended: Promise<never>;

  private constructor(readonly contender: Contender) {
    const [program = '', ...args] = contender.command;
    this.#child = spawn(program, args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...contender.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#ended = new Promise((_, reject) => {
      this.#child.once('error', (error) => reject(new Error(`${contender.name} can't be run: ${error.message}`)));
      this.#child.once('exit', (code) => reject(new Error(`${contender.name} ended with ${code}.`)));
    });
    // Whoever waits for something of it is told; nobody else has to be.
    this.#ended.catch(() => undefined);
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#receive(line));
  }

  /** @throws Error where its program can't be run, ends, or does not serve in half a minute. */
  static async start(contender: Contender): Promise<RunningContender> {
    const running = new RunningContender(contender);
    try {
      running.port = contender.port ?? Number((await running.#line('port ')).slice(5));
      await running.#answers();
      return running;
    } catch (error) {
      await running.stop();
      throw error;
    }
  }

  /** Tells it to swap to another version, or `back` to the one before; answers what it says of that. */
  async swap(version: string): Promise<Swapped> {
    if (this.contender.reload !== undefined) return this.#reload(this.contender.reload);
    this.#child.stdin!.write(`${version}\n`);
    return JSON.parse((await this.#line('swapped ')).slice(8)) as Swapped;
  }

  /** CPU time of it and all its descendants, in seconds. */
  cpuSeconds(): number {
    return this.pids().reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  }

  /** Of it and all its descendants; its own first. */
  pids(): number[] {
    return treeOf(this.#child.pid!);
  }

  async stop(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    const pids = treeOf(pid);
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => pids.forEach((pid) => kill(pid)), 5000);
    await ended;
    clearTimeout(timer);
  }

  async #answers(): Promise<void> {
    for (let attempt = 0; attempt < 300; attempt++) {
      const answer = await fetch(`http://127.0.0.1:${this.port}${this.contender.path}`).catch(() => null);
      if (answer?.ok) return;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, 100)), this.#ended]);
    }
    throw new Error(`${this.contender.name} does not serve on port ${this.port}.`);
  }

  /** Of others it is known only how long their command takes. */
  async #reload([program = '', ...args]: string[]): Promise<Swapped> {
    const startedAt = performance.now();
    const { env } = this.contender;
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 60_000,
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`${this.contender.name}: ${program} ${args.join(' ')} ended with ${code}.`);
    const milliseconds = performance.now() - startedAt;
    const unknown = { rssBytes: 0, heapBytes: 0, externalBytes: 0, handles: 0, descriptors: 0, kept: [] };
    return { milliseconds, began: 'new', phaseSeconds: {}, ...unknown };
  }

  #receive(line: string): void {
    for (const waiting of [...this.#waiting]) waiting(line);
  }

  #line(start: string): Promise<string> {
    const line = new Promise<string>((resolve) => {
      const take = (line: string) => {
        if (!line.startsWith(start)) return;
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        resolve(line);
      };
      this.#waiting.push(take);
    });
    return Promise.race([line, this.#ended]);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** A process and all below it. */
function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statOf(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** The fields of /proc/PID/stat from the state on. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

// Linux counts in hundredths of a second.
function cpuSecondsOf(pid: number): number {
  const stat = statOf(pid);
  return stat === null ? 0 : (Number(stat[11]) + Number(stat[12])) / 100;
}
