import type { ModuleAssignment, ModuleReport, TrafficSample } from '@hotswap/agent-protocol';
import { enclose, type Enclose } from './enclose.js';
import { HostError } from './errors.js';
import type { HostRequest, HostResponse } from './http.js';
import type { LoadRelease } from './instance.js';
import type { ModuleLog } from './module-log.js';
import { ModuleSlot } from './module-slot.js';
import type { Phase } from './phase.js';
import { defaultTiming, type HostTiming } from './timing.js';

export interface ModuleHostOptions {
  log: ModuleLog;
  /** Something that `reports` tells has changed. May be called often; never from within a call to the host. */
  onChange(): void;
  /** Fetches, verifies and unpacks a release. @throws LoadError saying which of these failed. */
  load: LoadRelease;
  /** What instances run in; left out: a process or a thread, as the manifest asks. */
  enclose?: Enclose;
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

  constructor(private readonly options: ModuleHostOptions) {}

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

  /** Rejects with a HostError; or with the request signal's reason, when the client left. */
  handle(route: string, request: HostRequest): Promise<HostResponse> {
    try {
      const slot = this.#routes.get(route);
      if (slot === undefined || !slot.isWanted)
        throw new HostError('no-such-route', `No module is mounted at "/${route}".`, null);
      return slot.handle(request);
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason may be anything
      return Promise.reject(error);
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

  /** Everything asked for is reached or failed. */
  get settled(): boolean {
    return [...this.#slots.values()].every((slot) => slot.settled);
  }

  /** Stops every instance: drains for so long at most, deactivates, stops, ends the process. New requests are refused. */
  async close(drainSeconds: number): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#slots.values()].map((slot) => slot.close(drainSeconds)));
  }

  #slotOf(module: string): ModuleSlot {
    const known = this.#slots.get(module);
    if (known !== undefined) return known;
    const { log, load, timing, onPhase = () => undefined } = this.options;
    const slot = new ModuleSlot(module, {
      log,
      load,
      enclose: this.options.enclose ?? enclose,
      onPhase,
      timing: { ...defaultTiming, ...timing },
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
