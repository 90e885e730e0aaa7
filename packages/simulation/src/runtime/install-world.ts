import { createRequire, syncBuiltinESMExports } from 'node:module';
import type { Scheduled, Scheduler } from './scheduler.js';
import type { SimulatedProcess } from './simulated-process.js';

const require = createRequire(import.meta.url);
const epochMilliseconds = Date.UTC(2030, 0, 1);
const diskMilliseconds = 2;

let scheduler: Scheduler | null = null;

/** From now on timers, clocks, chance and files are those of this simulation. */
export function enterWorld(of: Scheduler): void {
  scheduler = of;
}

/** True time as an instant, for the database's clock. */
export function instantOf(milliseconds: number): number {
  return epochMilliseconds + Math.floor(milliseconds);
}

/** Whose event runs now. */
export function currentProcess(): SimulatedProcess {
  return world().current;
}

function world(): Scheduler {
  if (!scheduler) throw new Error('No simulation is under way');
  return scheduler;
}

/** Milliseconds since the simulation's start by the clock of the process in hand. */
function processNow(): number {
  const { now, current } = world();
  return now * current.clock.rate;
}

class SimulatedTimer {
  private event: Scheduled;

  constructor(
    private readonly run: () => void,
    private readonly milliseconds: number,
    private readonly isRepeated: boolean,
  ) {
    this.event = this.schedule();
  }

  private schedule(): Scheduled {
    const { current } = world();
    return world().schedule(current, this.milliseconds / current.clock.rate, () => {
      if (this.isRepeated) this.event = this.schedule();
      this.run();
    });
  }

  cancel(): void {
    this.event.isCancelled = true;
  }

  refresh(): this {
    this.cancel();
    this.event = this.schedule();
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

type Callback = (...parameters: unknown[]) => void;

const timers = {
  setTimeout: (run: Callback, milliseconds = 1, ...parameters: unknown[]) =>
    new SimulatedTimer(() => run(...parameters), Math.max(1, milliseconds || 1), false),
  setInterval: (run: Callback, milliseconds = 1, ...parameters: unknown[]) =>
    new SimulatedTimer(() => run(...parameters), Math.max(1, milliseconds || 1), true),
  setImmediate: (run: Callback, ...parameters: unknown[]) =>
    world().schedule(world().current, 0, () => run(...parameters)),
  clearTimeout: (timer?: SimulatedTimer) => timer?.cancel(),
  clearInterval: (timer?: SimulatedTimer) => timer?.cancel(),
  clearImmediate: (event?: Scheduled) => {
    if (event) event.isCancelled = true;
  },
};

function delay(milliseconds = 1, value?: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const timer = timers.setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    }, milliseconds);
    const abort = () => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

function timeoutSignal(milliseconds: number): AbortSignal {
  const controller = new AbortController();
  timers.setTimeout(() => controller.abort(new DOMException('The operation timed out', 'TimeoutError')), milliseconds);
  return controller.signal;
}

/** The files that a node writes: what it has of the control plane's wishes, and who it is. */
const files = {
  readFile: async (path: string) => {
    const content = world().current.disk.files.get(path);
    if (content === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
    return content;
  },
  open: async (path: string) => {
    const { disk } = world().current;
    if (disk.isFull && path.endsWith('.tmp'))
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    return {
      writeFile: async (content: string) => void disk.files.set(path, content),
      sync: async () => undefined,
      close: async () => undefined,
    };
  },
  rename: async (from: string, to: string) => {
    const { disk } = world().current;
    await delay(diskMilliseconds);
    const content = disk.files.get(from);
    disk.files.delete(from);
    if (content !== undefined) disk.files.set(to, content);
  },
  rm: async (path: string) => void world().current.disk.files.delete(path),
  mkdir: async () => undefined,
  realpath: async (path: string) => path,
};

let uuidCount = 0;

/** Ids count from here on, whatever was simulated before. */
export function resetIds(): void {
  uuidCount = 0;
}

/**
 * Puts the simulation in the place of what this process has of time, chance and disk, for good: everything under simulation gets it from the same
 * places as in production.
 */
export function installWorld(): void {
  Object.assign(globalThis, timers);
  Object.assign(globalThis.performance, { now: processNow });
  Date.now = () => epochMilliseconds + Math.floor(processNow() + world().current.clock.aheadMilliseconds);
  Math.random = () => world().productRandom.next();
  AbortSignal.timeout = timeoutSignal;
  Object.assign(require('node:timers/promises') as object, { setTimeout: delay });
  Object.assign(require('node:fs/promises') as object, files);
  Object.assign(require('node:crypto') as object, {
    randomUUID: () => `${(++uuidCount).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
    randomBytes: (size: number) => Buffer.alloc(size, ++uuidCount % 256),
  });
  Object.assign(require('node:os') as object, { hostname: () => world().current.name.split('.')[0] });
  syncBuiltinESMExports();
}
