import type {
  ModuleAssignment,
  ModuleReport,
  ReleaseSpec,
  SwapReport,
  TrafficRole,
  TrafficSample,
} from '@hotswap/agent-protocol';
import { BackgroundWork } from './background-work.js';
import { Dispatch } from './dispatch.js';
import { LoadError, messageOf } from './errors.js';
import type { HostRequest, Reply } from './http.js';
import type { Instance } from './instance.js';
import type { InstanceContext, LoadRelease } from './instance-context.js';
import type { MemoryRole } from './memory-budget.js';
import { ModuleTraffic } from './module-traffic.js';
import { phaseMeasure, type MeasurePhase, type Phase, type PhaseFigures } from './phase.js';
import { handOver, handoverSecondsOf } from './handover.js';
import { Hold } from './hold.js';
import { Prober } from './prober.js';
import type { Quarters } from './quarters.js';
import { ReleaseKeeper } from './release-keeper.js';
import { swapReport } from './swap-report.js';
import { WarmList } from './warm-list.js';

export interface SlotContext extends Pick<InstanceContext, 'log' | 'timing' | 'onChange'> {
  quarters: Quarters;
  load: LoadRelease;
  onPhase: (phase: Phase) => void;
}

/**
 * One module on this node: which releases are kept started, and which of them a request is given to. Every change ends
 * in the same `#reconcile`, which looks at what is wanted and what there is, and starts what is missing.
 */
export class ModuleSlot {
  /** Where the module is mounted: what the release that was last active says. */
  route: string;
  #assignment: ModuleAssignment | null = null;
  #content = '';
  /** When another release was last asked for as the active one, by the monotonic clock. */
  #toldAt = 0;
  #lastSwap: SwapReport | null = null;
  readonly #keepers = new Map<string, ReleaseKeeper>();
  readonly #draining = new Map<Instance, Promise<void>>();
  readonly #traffic = new ModuleTraffic();
  readonly #dispatch: Dispatch;
  readonly #work = new BackgroundWork();
  readonly #warm = new WarmList(() => this.#changed());
  /** A second instance of the active release, beside the candidate to be compared with it. Never activated. */
  #twinKeeper: ReleaseKeeper | null = null;
  readonly #prober = new Prober(() => this.#dispatch.probePair(this.#assignment?.twin === true));
  /** What the pointer was last set to; kept started until it is set to what is asked for. */
  #lastActive: ReleaseSpec | null = null;
  #hasServedActive = false;
  #isFlipping = false;
  #isDue = false;
  #closeDrainSeconds: number | null = null;
  readonly #measure: MeasurePhase;

  constructor(
    readonly module: string,
    private readonly context: SlotContext,
  ) {
    this.route = module;
    this.#dispatch = new Dispatch(module, this.#traffic);
    this.#measure = phaseMeasure(() => this.#traceparent, context.onPhase);
  }

  assign(assignment: ModuleAssignment): void {
    const content = JSON.stringify({ ...assignment, traceparent: null });
    if (content === this.#content) return;
    this.#content = content;
    if (assignment.active?.digest !== this.#assignment?.active?.digest) this.#toldAt = performance.now();
    this.#assignment = assignment;
    this.#changed();
  }

  /** @throws as `Dispatch.handle`. */
  handle(request: HostRequest, reply: Reply): void {
    this.#dispatch.handle(request, reply);
  }

  report(): ModuleReport {
    const active = this.#dispatch.active?.serving === true ? this.#dispatch.active.spec.digest : null;
    const candidate = this.#dispatch.candidate?.serving === true ? this.#dispatch.candidate.spec.digest : null;
    const instances = [
      ...[...this.#keepers.values()].map((keeper) => keeper.report()),
      ...[this.#twinKeeper?.report() ?? null].map((report) => report && { ...report, twin: true }),
      ...[...this.#draining.keys()].map((instance) => instance.report(0)),
    ];
    return {
      module: this.module,
      active,
      candidate,
      candidatePercent: candidate === null ? 0 : this.#dispatch.candidatePercent,
      ...(this.#dispatch.twin?.serving === true ? { twin: true } : {}),
      servingFallback: active !== null && !this.#hasServedActive && active !== this.#assignment?.active?.digest,
      ...(this.#lastSwap === null ? {} : { lastSwap: this.#lastSwap }),
      instances: instances.filter((instance) => instance !== null),
    };
  }

  takeTraffic(): TrafficSample[] {
    return this.#traffic.take((digest) => this.#isRunning(digest));
  }

  takeProbes(): TrafficSample[] {
    return this.#prober.takeTraffic();
  }

  /** Everything asked for is reached or failed. Draining what was replaced is not waited for. */
  get settled(): boolean {
    if (this.#isDue || this.#isFlipping) return false;
    const target = this.#flipTarget();
    const isReached = target === null || (target === this.#dispatch.active && target.state === 'active');
    return isReached && this.#allKeepers.every((keeper) => keeper.settled);
  }

  /** Nothing is left of the module: it was taken off, its last process has ended, its last counts are taken. */
  get isGone(): boolean {
    const isLeft = this.#keepers.size + this.#draining.size > 0 || this.#twinKeeper !== null || !this.#traffic.isEmpty;
    return !this.isWanted && !this.#isDue && !isLeft;
  }

  get isWanted(): boolean {
    return this.#assignment !== null && this.#assignment.active !== null && this.#closeDrainSeconds === null;
  }

  async close(drainSeconds: number): Promise<void> {
    this.#closeDrainSeconds = drainSeconds;
    const finished = this.#allKeepers.map((keeper) => keeper.finished);
    this.#reconcile();
    // What was draining before has its own, perhaps longer, time.
    const hurry = setTimeout(() => this.#draining.forEach((_, instance) => instance.cut()), drainSeconds * 1000);
    await Promise.all([...finished, ...this.#draining.values()]);
    clearTimeout(hurry);
  }

  #changed(): void {
    this.context.onChange();
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => this.#reconcile());
  }

  #reconcile(): void {
    this.#isDue = false;
    if (!this.#isServed) this.#dispatch.active = null;
    const wanted = this.#wanted();
    const candidate = this.isWanted ? this.#assignment?.candidate : null;
    this.#dispatch.candidate = (candidate && this.#keepers.get(candidate.digest)?.ready) ?? null;
    this.#dispatch.candidatePercent = this.#dispatch.candidate === null ? 0 : (this.#assignment?.candidatePercent ?? 0);
    if (!this.isWanted) this.#dispatch.active = null;
    for (const [digest, keeper] of this.#keepers) if (!wanted.has(digest)) this.#release(keeper);
    for (const spec of wanted.values()) {
      if (this.#keepers.has(spec.digest)) continue;
      this.#keepers.set(spec.digest, new ReleaseKeeper(spec, this.#instanceContext(spec, false)));
    }
    this.#keepTwin();
    this.#updateWarm();
    this.context.quarters.review();
    this.#prober.follow((this.isWanted && this.#assignment?.probe) || null);
    const target = this.#flipTarget();
    // One that was deactivated for another that then failed has to be activated again.
    if (target !== null && (target !== this.#dispatch.active || target.state !== 'active') && !this.#isFlipping)
      void this.#flip(target);
  }

  #keepTwin(): void {
    const { active, candidate, twin = false } = this.#assignment ?? {};
    const wanted = this.isWanted && twin && candidate ? (active ?? null) : null;
    if (this.#twinKeeper !== null && this.#twinKeeper.spec.digest !== wanted?.digest) {
      const instance = this.#twinKeeper.release();
      this.#twinKeeper = null;
      if (instance !== null) this.#retire(instance);
    }
    // It may take a share of what is active now, so it waits until that is.
    if (wanted !== null && this.#dispatch.active?.spec.digest === wanted.digest)
      this.#twinKeeper ??= new ReleaseKeeper(wanted, this.#instanceContext(wanted, true));
    this.#dispatch.twin = this.#twinKeeper?.ready ?? null;
  }

  #dropTwin(error: LoadError): void {
    const twin = this.#twinKeeper?.ready ?? null;
    this.#twinKeeper?.condemn(error);
    if (twin !== null) this.#retire(twin);
    this.#changed();
  }

  /** At once: by the next turn it might be asked for again, while its memory is promised to another. */
  #dropWarm({ digest }: ReleaseSpec): void {
    this.#warm.expire(digest);
    const keeper = this.#keepers.get(digest);
    if (keeper !== undefined) this.#release(keeper);
  }

  #instanceContext(spec: ReleaseSpec, isTwin: boolean): InstanceContext {
    const { load, log, timing, quarters } = this.context;
    return {
      load: (wanted, signal) => load(wanted, signal, this.#traceparent),
      log,
      timing,
      quarters,
      memoryRole: () => (isTwin ? 'twin' : this.#memoryRoleOf(spec)),
      isAwaited: () => !isTwin && !this.#isServed && this.#memoryRoleOf(spec) === 'active',
      onMemoryNeeded: (error) => (isTwin ? this.#dropTwin(error) : this.#dropWarm(spec)),
      measure: this.#measure,
      traffic: {
        observe: (instance, ...figures) => {
          // It may have been a candidate before.
          this.#traffic.forget(instance);
          this.#traffic.of(spec, isTwin ? 'twin' : this.#roleOf(spec)).observe(instance, ...figures);
        },
        forget: (instance) => this.#traffic.forget(instance),
      },
      onChange: () => this.#changed(),
    };
  }

  /** Releases to be kept started now, by digest. */
  #wanted(): Map<string, ReleaseSpec> {
    const wanted = this.#needed();
    // What is to be warm but is not yet (after a restart of the node) waits until the module serves.
    for (const spec of this.isWanted ? (this.#assignment?.warm ?? []) : [])
      if (!this.#warm.isExpired(spec) && (this.#isReached || this.#keepers.has(spec.digest)))
        wanted.set(spec.digest, spec);
    return wanted;
  }

  /** Those of them that are more than warm. */
  #needed(): Map<string, ReleaseSpec> {
    const { active = null, candidate = null } = (this.isWanted && this.#assignment) || {};
    if (active === null) return new Map();
    const needed = [active, candidate, this.#wantedFallback(), this.#isReached ? null : this.#lastActive];
    return new Map(needed.flatMap((spec) => (spec === null ? [] : [[spec.digest, spec]])));
  }

  get #isServed(): boolean {
    return this.#dispatch.active?.serving === true;
  }

  get #isReached(): boolean {
    return this.#dispatch.active !== null && this.#dispatch.active.spec.digest === this.#assignment?.active?.digest;
  }

  #wantedFallback(): ReleaseSpec | null {
    const { active, fallback } = this.#assignment ?? {};
    if (!active || !fallback || this.#hasServedActive) return null;
    return (this.#keepers.get(active.digest)?.failure ?? null) === null ? null : fallback;
  }

  /** The instance that the pointer should be set to; null: none that is ready. */
  #flipTarget(): Instance | null {
    const active = this.isWanted ? this.#assignment?.active : null;
    if (!active) return null;
    const asked = this.#keepers.get(active.digest)?.ready ?? null;
    if (asked !== null || this.#isServed) return asked ?? this.#dispatch.active;
    const substitute = [this.#lastActive, this.#wantedFallback()].map(
      (spec) => spec && this.#keepers.get(spec.digest)?.ready,
    );
    return substitute.find((instance) => instance) ?? null;
  }

  async #flip(next: Instance): Promise<void> {
    this.#isFlipping = true;
    try {
      await this.#measure('activate', next.spec, (figures) => this.#replaceBy(next, figures));
    } catch (error) {
      const keeper = this.#keepers.get(next.spec.digest);
      // One that has died meanwhile is its keeper's business.
      if (keeper?.ready !== next) return;
      keeper.condemn(error instanceof LoadError ? error : new LoadError('activate', messageOf(error)));
      this.#retire(next);
    } finally {
      this.#isFlipping = false;
      this.#changed();
    }
  }

  /** Background work ends in the one before it begins in the other; requests are served all the while, or held where that is not possible. */
  async #replaceBy(next: Instance, figures: PhaseFigures): Promise<void> {
    const previous = this.#dispatch.active === next ? null : this.#dispatch.active;
    try {
      if (previous !== null && handoverSecondsOf(next) !== null && handoverSecondsOf(previous) !== null)
        figures.stateBytes = await this.#handOver(previous, next);
      await this.#work.give(next, this.#drainSeconds, (stuck) => {
        if (stuck === previous) this.#dispatch.hold ??= new Hold(previous);
      });
      this.#pointTo(next, previous, figures);
    } finally {
      figures.held = this.#dispatch.hold?.count ?? 0;
      this.#dispatch.hold?.release();
      this.#dispatch.hold = null;
    }
  }

  /** Answers the bytes of state that went over; undefined: the previous one has died meanwhile, and its state with it, for which the next is not to blame. */
  async #handOver(previous: Instance, next: Instance): Promise<number | undefined> {
    try {
      return await handOver(previous, next, () => (this.#dispatch.hold = new Hold(previous)));
    } catch (error) {
      if (previous.serving) throw error;
      this.#tell('warn', next, `Goes on without the state of ${previous.name}, which ended while it was handed over.`);
      return undefined;
    }
  }

  /** To an instance that was just activated, unless something else is asked for by now. */
  #pointTo(next: Instance, previous: Instance | null, { stateBytes }: PhaseFigures): void {
    if (this.#flipTarget() !== next) return void next.standDown();
    this.#dispatch.active = next;
    this.#tell('info', next, previous === null ? 'Active.' : `Active in place of ${previous.name}.`);
    const handedOver = { held: this.#dispatch.hold?.count ?? 0, stateBytes: stateBytes ?? null };
    const swap = swapReport(next, previous, this.#toldAt, handedOver);
    // Another process of the same release is no swap.
    if (this.#lastActive?.digest !== next.spec.digest) this.#lastSwap = swap;
    if (previous?.state === 'deactivated')
      void previous.coolDown(this.#drainSeconds).then((counts) => {
        Object.assign(swap, counts);
        this.context.onChange();
      });
    this.#lastActive = next.spec;
    this.route = next.manifest.route;
    if (next.spec.digest === this.#assignment?.active?.digest) this.#hasServedActive = true;
    this.#keepers.get(next.spec.digest)?.confirm();
  }

  #tell(level: 'info' | 'warn', { name, pid }: Instance, message: string): void {
    this.context.log({ level, source: 'host', module: this.module, release: name, pid, message });
  }

  #release(keeper: ReleaseKeeper): void {
    this.#keepers.delete(keeper.spec.digest);
    const instance = keeper.release();
    if (instance !== null) this.#retire(instance);
  }

  #retire(instance: Instance): void {
    const retired = instance.retire(this.#drainSeconds).finally(() => {
      this.#draining.delete(instance);
      this.#changed();
    });
    this.#draining.set(instance, retired);
  }

  get #traceparent(): string | null {
    return this.#assignment?.traceparent ?? null;
  }

  get #drainSeconds(): number {
    return this.#closeDrainSeconds ?? this.#assignment?.policy.drainSeconds ?? 0;
  }

  #updateWarm(): void {
    const { active, candidate, warm = [], policy } = this.#assignment ?? {};
    const used = new Set([active?.digest, candidate?.digest, this.#dispatch.active?.spec.digest]);
    const listed = new Set(this.isWanted ? warm.map((spec) => spec.digest).filter((digest) => !used.has(digest)) : []);
    const resting = new Set([...listed].filter((digest) => this.#keepers.get(digest)?.ready));
    this.#warm.update(resting, listed, policy?.warmSeconds ?? 0);
  }

  #isRunning(digest: string): boolean {
    return [...this.#allKeepers, ...this.#draining.keys()].some(({ spec }) => spec.digest === digest);
  }

  get #allKeepers(): ReleaseKeeper[] {
    return [...this.#keepers.values(), ...(this.#twinKeeper === null ? [] : [this.#twinKeeper])];
  }

  #memoryRoleOf({ digest }: ReleaseSpec): MemoryRole {
    if (digest === this.#assignment?.candidate?.digest) return 'candidate';
    return this.#needed().has(digest) || digest === this.#dispatch.active?.spec.digest ? 'active' : 'warm';
  }

  #roleOf({ digest }: ReleaseSpec): TrafficRole {
    const isCandidate = this.#assignment?.candidate?.digest === digest && this.#dispatch.active?.spec.digest !== digest;
    return isCandidate ? 'candidate' : 'active';
  }
}
