import type { ModuleAssignment, ModuleReport, TrafficSample } from '@hotswap/agent-protocol';
import type { Enclose } from './enclosure.js';
import { HostError } from './errors.js';
import type { HostRequest, Reply } from './http.js';
import type { LoadRelease } from './instance-context.js';
import type { MemoryRole } from './memory-budget.js';
import type { ModuleLog } from './module-log.js';
import { ModuleSlot } from './module-slot.js';
import type { Phase } from './phase.js';
import { Quarters } from './quarters.js';
import { defaultTiming, type HostTiming } from './timing.js';

export interface ModuleHostOptions {
  log: ModuleLog;
  /** Something that `reports` tells has changed. May be called often; never from within a call to the host. */
  onChange(): void;
  /** Fetches, verifies and unpacks a release. @throws LoadError saying which of these failed. */
  load: LoadRelease;
  /** Makes what instances run in. */
  enclose: Enclose;
  /** For all instances together; left out: as much as they want. */
  memoryBytesMax?: number;
  /** So many processes (or threads) are started ahead, each of a shape of its own; left out: 1. */
  spareCountMax?: number;
  /** Something that was done with a release has ended. */
  onPhase?: (phase: Phase) => void;
  timing?: Partial<HostTiming>;
}

/** Runs the modules of one node: makes assignments true in the background, and gives requests to the releases that they name. */
export class ModuleHost {
  readonly #slots = new Map<string, ModuleSlot>();
  #routes = new Map<string, ModuleSlot>();
  #isChangeDue = false;
  #isClosed = false;
  readonly #toldConflicts = new Set<string>();
  readonly #timing: HostTiming;
  readonly #quarters: Quarters;

  constructor(private readonly options: ModuleHostOptions) {
    const { enclose, memoryBytesMax = Infinity, spareCountMax = 1 } = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#quarters = new Quarters({ enclose, memoryBytesMax, spareCountMax, spareSeconds: this.#timing.spareSeconds });
  }

  /**
   * Level-triggered: what is asked for is made true in the background, and the same again changes nothing. A module without an
   * entry is left as it is; `active: null` takes it off.
   */
  apply(assignments: ModuleAssignment[]): void {
    if (this.#isClosed) return;
    for (const assignment of assignments) {
      if (assignment.active === null && !this.#slots.has(assignment.module)) continue;
      this.#slotOf(assignment.module).assign(assignment);
    }
  }

  /** The reply is told once, perhaps before this returns. */
  handle(route: string, request: HostRequest, reply: Reply): void {
    try {
      const slot = this.#routes.get(route);
      if (slot === undefined || !slot.isWanted)
        throw new HostError('no-such-route', `No module is mounted at "/${route}".`, null);
      slot.handle(request, reply);
    } catch (error) {
      reply.fail(error);
    }
  }

  routes(): string[] {
    return [...this.#routes].filter(([, slot]) => slot.isWanted).map(([route]) => route);
  }

  reports(): ModuleReport[] {
    return [...this.#slots.values()].map((slot) => slot.report());
  }

  /** Counts since the last call, by release; also the process figures of releases that only rest. */
  takeTraffic(): TrafficSample[] {
    const samples = [...this.#slots.values()].flatMap((slot) => slot.takeTraffic());
    this.#forgetGone();
    return samples;
  }

  /** Counts of the node's own probes since the last call, by release. */
  takeProbes(): TrafficSample[] {
    return [...this.#slots.values()].flatMap((slot) => slot.takeProbes());
  }

  /** What the node has for instances, and what is kept for those there are, by what they are for; in bytes. */
  memory(): { bytesMax: number; taken: Record<MemoryRole, number> } {
    return this.#quarters.memory();
  }

  /** Everything asked for is reached or failed. */
  get settled(): boolean {
    return [...this.#slots.values()].every((slot) => slot.settled);
  }

  /** Stops every instance: drains for so long at most, deactivates, stops, ends the process. New requests are refused. */
  async close(drainSeconds: number): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#quarters.close(), ...[...this.#slots.values()].map((slot) => slot.close(drainSeconds))]);
  }

  #slotOf(module: string): ModuleSlot {
    const known = this.#slots.get(module);
    if (known !== undefined) return known;
    const { log, load, onPhase = () => undefined } = this.options;
    const slot = new ModuleSlot(module, {
      log,
      load,
      onPhase,
      timing: this.#timing,
      quarters: this.#quarters,
      onChange: () => this.#changed(),
    });
    this.#slots.set(module, slot);
    this.#mount();
    return slot;
  }

  #changed(): void {
    if (this.#isChangeDue) return;
    this.#isChangeDue = true;
    setImmediate(() => {
      this.#isChangeDue = false;
      this.#forgetGone();
      this.#mount();
      this.options.onChange();
    });
  }

  #forgetGone(): void {
    for (const [module, slot] of this.#slots) if (slot.isGone) this.#slots.delete(module);
  }

  /** Of two modules with the same route the one that was there first has it. */
  #mount(): void {
    const routes = new Map<string, ModuleSlot>();
    for (const slot of this.#slots.values()) {
      if (!slot.isWanted) continue;
      const holder = routes.get(slot.route);
      if (holder === undefined) routes.set(slot.route, slot);
      else this.#tellConflict(slot, holder);
    }
    this.#routes = routes;
  }

  #tellConflict({ module, route }: ModuleSlot, holder: ModuleSlot): void {
    const message = `The route "/${route}" is taken by ${holder.module}: ${module} gets no requests.`;
    if (this.#toldConflicts.has(message)) return;
    this.#toldConflicts.add(message);
    this.options.log({ level: 'error', source: 'host', module, release: null, pid: null, message });
  }
}
