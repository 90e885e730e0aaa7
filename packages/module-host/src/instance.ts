import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FailureKind, InstanceReport, PhaseSeconds, ReleaseSpec } from '@hotswap/agent-protocol';
import { drain, type Drained } from './drain.js';
import { shapeOf } from './enclosure.js';
import { Hooks } from './hooks.js';
import { HostError, LoadError, messageOf } from './errors.js';
import type { ExchangeResult } from './exchange.js';
import { replyOf, type HostRequest, type HostResponse, type Reply } from './http.js';
import { loadResultOf } from './instance-answers.js';
import type { InstanceContext } from './instance-context.js';
import { CallError, type InstanceLink } from './instance-link.js';
import {
  advance,
  canAdvance,
  canServe,
  isOver,
  reportedState,
  type Lifecycle,
  type LifecycleEvent,
} from './lifecycle.js';
import type { MemoryRole, Tenant } from './memory-budget.js';
import type { ModuleLogEntry } from './module-log.js';
import type { PhaseFigures, PhaseName } from './phase.js';
import { moveIn } from './move-in.js';
import type { Lodging } from './quarters.js';
import { environmentOf, releaseName, type LoadableRelease } from './release.js';
import { Residence, type Print } from './residence.js';
import { readSecrets } from './secrets.js';
import { checkHealthPath, smokeTest } from './smoke-test.js';
import { Watch } from './watch.js';
import type { InstanceCall } from './wire/messages.js';

/** One process (or thread) of one release, from fetching the release until it has ended. Made once, never raised again. */
export class Instance implements Tenant {
  readonly name: string;
  /** Resolves, with how, when a process that had been ready ended unasked. */
  readonly crashed: Promise<string>;
  #reportCrash!: (how: string) => void;
  #lifecycle: Lifecycle = { state: 'fetching' };
  #release: LoadableRelease | null = null;
  #residence: Residence | null = null;
  #watch: Watch | null = null;
  #phaseSeconds: PhaseSeconds = {};
  #readyAt = Infinity;
  #ending = false;
  /** Why it has to go before it was ever ready. */
  #evicted: LoadError | null = null;
  /** While what was in flight when it was replaced ends; aborted when it is activated again. */
  #cooling: { abort: AbortController; over: Promise<Drained> } | null = null;
  #hooks: Hooks | null = null;

  constructor(
    readonly spec: ReleaseSpec,
    private readonly context: InstanceContext,
  ) {
    this.name = releaseName(spec);
    this.crashed = new Promise((resolve) => (this.#reportCrash = resolve));
  }

  /** Requests may be given to it now. */
  get serving(): boolean {
    return canServe(this.#lifecycle) && this.#residence?.link.open === true;
  }

  get state(): Lifecycle['state'] {
    return this.#lifecycle.state;
  }

  /** @throws Error before the release is fetched. */
  get manifest(): LoadableRelease['manifest'] {
    if (this.#release === null) throw new Error(`${this.name} is not fetched yet.`);
    return this.#release.manifest;
  }

  get memoryRole(): MemoryRole {
    return this.#ending || this.state === 'draining' ? 'leaving' : this.context.memoryRole();
  }

  get isAwaited(): boolean {
    return this.context.isAwaited();
  }

  /** When it became ready, by the monotonic clock; Infinity: it has not. */
  get readyAt(): number {
    return this.#readyAt;
  }

  get isSpare(): boolean {
    return this.#residence?.lodging.isSpare ?? false;
  }

  report(crashes: number): InstanceReport | null {
    const lifecycle = this.#lifecycle;
    if (lifecycle.state === 'retired') return null;
    return {
      release: this.spec.digest,
      version: this.spec.version,
      state: reportedState(lifecycle.state),
      error: lifecycle.state === 'failed' ? lifecycle.error : null,
      failureKind: lifecycle.state === 'failed' ? lifecycle.kind : null,
      crashes,
      pid: this.#residence?.link.open === true ? this.pid : null,
      ...(this.#residence === null ? {} : { isSpare: this.isSpare, phaseSeconds: { ...this.#phaseSeconds } }),
    };
  }

  /**
   * Fetches, loads, starts, checks health, smoke-tests: afterwards it is ready. When the signal is aborted it ends, retired.
   *
   * @throws LoadError with the phase that failed (the process is then ended), or the signal's reason.
   */
  async raise(signal: AbortSignal): Promise<void> {
    const abandon = () => this.#residence?.kill();
    signal.addEventListener('abort', abandon);
    try {
      await this.#raise(signal);
      signal.throwIfAborted();
      if (this.#residence?.link.open !== true || this.#evicted !== null)
        throw new LoadError('start', `${this.#what} ended.`);
    } catch (error) {
      this.#ending = true;
      const hasGone = this.#residence?.link.open === false;
      this.#watch?.stop();
      this.#residence?.kill();
      const ended = await this.#residence?.end();
      if (signal.aborted) {
        this.#advance({ event: 'retired' });
        throw signal.reason;
      }
      const kind = error instanceof LoadError ? error.kind : 'fetch';
      const how = hasGone ? `${this.#what} ${ended}.` : messageOf(error);
      const failure = this.#evicted ?? new LoadError(kind, how);
      this.#advance({ event: 'failed', kind: failure.kind, error: failure.message });
      throw failure;
    } finally {
      signal.removeEventListener('abort', abandon);
    }
    this.#readyAt = performance.now();
    this.#advance({ event: 'passed' });
  }

  /** @throws HostError where it has as many requests as it takes, or does not take in what it has. The node's own probes are not held to it. */
  expectRoom(): void {
    const { inFlight } = this.manifest.limits;
    const { exchanges, isCongested } = this.link;
    const count = exchanges.size;
    if (count >= inFlight)
      throw new HostError('overloaded', `${this.name} has ${count} requests in flight, its limit.`, this.name);
    if (isCongested)
      throw new HostError('overloaded', `${this.name} does not take in what it was sent before.`, this.name);
  }

  /** @throws HostError where the instance has just ended. */
  send(request: HostRequest, reply: Reply, onEnd: (result: ExchangeResult) => void): void {
    if (this.#residence === null) throw new HostError('module-not-ready', `${this.name} is not loaded.`, this.name);
    const { requestSeconds, requestBodyMiB } = this.manifest.limits;
    const { clientIdleSeconds } = this.context.timing;
    const limits = { requestSeconds, clientIdleSeconds, requestBodyBytesMax: requestBodyMiB * 1024 * 1024 };
    this.#residence.link.exchange(request, limits, reply, onEnd);
  }

  /** From ready or deactivated to active. @throws LoadError of kind `activate`; the instance is as it was, but for background work. */
  async activate(): Promise<void> {
    this.#expectActivable();
    this.#cooling?.abort.abort();
    await this.#hooks?.activate().catch(failAs('activate'));
    this.#expectActivable();
    this.#advance({ event: 'activated' });
  }

  /** It may have died, or have been let go, meanwhile. @throws LoadError of kind `activate` */
  #expectActivable(): void {
    if (this.serving && canAdvance(this.#lifecycle, 'activated')) return;
    throw new LoadError('activate', `${this.name} ended while it was activated.`);
  }

  /** Whether background work may go on in it. */
  get isWorking(): boolean {
    return this.#residence?.hasEnded === false && this.#hooks?.isWorking === true;
  }

  /** From active to deactivated, at once; resolves when the module was told to end its background work and has answered, or not in time. It still serves. */
  async standDown(): Promise<void> {
    if (canAdvance(this.#lifecycle, 'deactivated')) this.#advance({ event: 'deactivated' });
    await this.#hooks?.deactivate();
  }

  /** Ends it at once, as one that does harm; resolves when it has ended. */
  async end(reason: string): Promise<void> {
    this.#residence?.kill(reason);
    await this.#residence?.ended();
  }

  /** It was replaced: what is in flight may take so many seconds. */
  coolDown(drainSeconds: number): Promise<Drained> {
    const abort = new AbortController();
    const over = this.#measure('drain', async (figures) => {
      const drained = await this.#drain(drainSeconds, abort.signal);
      Object.assign(figures, drained);
      return drained;
    });
    this.#cooling = { abort, over };
    return over;
  }

  /** @throws CallError where it has no process. */
  get link(): InstanceLink {
    if (this.#residence === null) throw new CallError('The instance has no process.');
    return this.#residence.link;
  }

  /** Resolves when all work given to `waitUntil` has ended. @throws CallError when that takes longer. */
  async settle(seconds: number): Promise<void> {
    await this.#hooks?.settle(seconds);
  }

  leave(because: string): void {
    const error = new LoadError('memory', `${this.name} had to go: ${because}.`);
    this.#log('warn', 'host', error.message);
    if (this.serving) return this.context.onMemoryNeeded(error);
    this.#evicted = error;
    this.#residence?.kill();
  }

  /** Ends what is in flight, whoever still waits for it. */
  cut(): void {
    for (const exchange of [...(this.#residence?.link.exchanges.values() ?? [])]) exchange.cut();
  }

  /** Marks an instance that must not be used any more, though its process runs: it still has to be retired. */
  condemn(kind: FailureKind, error: string): void {
    if (!isOver(this.#lifecycle)) this.#advance({ event: 'failed', kind, error });
  }

  /** Deactivates, drains, stops and ends it. For an instance that was never ready, see the signal of `raise`. */
  retire(drainSeconds: number): Promise<void> {
    return this.#measure('retire', async (figures) => {
      await this.#retire(drainSeconds);
      figures.cpuSeconds = this.#watch?.usage.cpuSeconds;
      figures.rssBytesMax = this.#watch?.usage.rssBytesMax;
    });
  }

  async #retire(drainSeconds: number): Promise<void> {
    const startedAt = performance.now();
    const wasActive = this.#lifecycle.state === 'active';
    // Also where it is not active yet, or could not be activated: its work may have begun.
    void this.standDown();
    if (canAdvance(this.#lifecycle, 'drain')) this.#advance({ event: 'drain' });
    const remaining = () => Math.max(0, drainSeconds - (performance.now() - startedAt) / 1000);
    await (wasActive ? this.coolDown(drainSeconds) : this.#cooling?.over);
    // What was a candidate has more in flight than it was replaced with.
    await this.#drain(remaining(), null);
    await this.settle(Math.max(remaining(), 0.1)).catch((error: unknown) =>
      this.#log('warn', 'host', `Work given to waitUntil was cut: ${messageOf(error)}`),
    );
    await this.#hooks?.stop();
    this.#ending = true;
    this.#watch?.stop();
    await this.#residence?.end();
    if (canAdvance(this.#lifecycle, 'retired')) this.#advance({ event: 'retired' });
  }

  async #drain(seconds: number, signal: AbortSignal | null): Promise<Drained> {
    if (this.#residence === null) return { drained: 0, cut: 0 };
    const drained = await drain(this.#residence.link, seconds, signal);
    if (drained.cut > 0)
      this.#log('warn', 'host', `Cut ${drained.cut} requests that had not ended ${seconds} s after it was replaced.`);
    return drained;
  }

  async #raise(signal: AbortSignal): Promise<void> {
    const fetched = await this.context.load(this.spec, signal);
    signal.throwIfAborted();
    this.#advance({ event: 'verified' });
    const isGivenUp = () => signal.aborted || this.#evicted !== null;
    const hasHealth = await this.#measure('load', (figures) => this.#load(fetched, signal, figures), isGivenUp);
    this.#advance({ event: 'loaded' });
    const start = () => this.#phase('start', { call: 'start' }, this.context.timing.startSeconds);
    await this.#measure('start', start, isGivenUp);
    this.#advance({ event: 'started' });
    const { health, smoke } = this.manifest;
    if (hasHealth || health.path !== null) await this.#measure('health', () => this.#checkHealth(hasHealth), isGivenUp);
    const ask = () => smokeTest((request) => this.#probe(request), smoke, health.timeoutSeconds);
    if (smoke.length > 0) await this.#measure('smoke', ask, isGivenUp);
    this.#watch?.expectPulse();
  }

  /** Answers whether the module has a health check of its own. */
  async #load(fetched: LoadableRelease, signal: AbortSignal, figures: PhaseFigures): Promise<boolean> {
    const secrets = await readSecrets(fetched.secretsDirectory, this.spec.module).catch(failAs('load'));
    const release = (this.#release = fetched);
    signal.throwIfAborted();
    const lodging = await this.#move(release, signal).catch(failAs('load'));
    figures.isSpare = lodging.isSpare;
    const { limits } = release.manifest;
    this.#watch = new Watch(lodging, this.link, limits, this.context, (harm) => this.#residence?.kill(harm));
    const directory = await lodging.enclosure.furnish(release.directory).catch(failAs('load'));
    const entryUrl = pathToFileURL(join(directory, release.manifest.entry)).href;
    const call: InstanceCall = { call: 'load', entryUrl, env: environmentOf(release, secrets) };
    const { functions } = loadResultOf(await this.#phase('load', call, this.context.timing.loadSeconds));
    const { timing } = this.context;
    this.#hooks = new Hooks(this.link, new Set(functions), timing, (message) => this.#log('warn', 'host', message));
    return functions.includes('health');
  }

  async #checkHealth(hasHealth: boolean): Promise<void> {
    const { path, timeoutSeconds } = this.manifest.health;
    if (hasHealth) await this.#phase('health', { call: 'health' }, timeoutSeconds);
    if (path === null) return;
    await checkHealthPath((request) => this.#probe(request), path, timeoutSeconds);
  }

  /** A request of health or smoke tests, which never reaches the router's counters. */
  #probe(request: HostRequest): Promise<HostResponse> {
    return replyOf((reply) => this.send(request, reply, () => undefined));
  }

  async #move({ manifest }: LoadableRelease, signal: AbortSignal): Promise<Lodging> {
    const { quarters, timing } = this.context;
    const lodging = await moveIn(
      () => quarters.take(this, shapeOf(manifest), signal),
      (lodging) => this.#connect(lodging),
      timing.spareResponseSeconds,
      signal,
    );
    this.#advance({ event: 'spawned' });
    return lodging;
  }

  #connect(lodging: Lodging): InstanceLink {
    const print: Print = (...line) => this.#log(...line);
    const onGone = (broken: string | null) => {
      if (residence === this.#residence) void this.#gone(residence, broken);
    };
    const residence = new Residence(lodging, this.name, print, onGone);
    this.#residence = residence;
    if (this.#evicted !== null) throw this.#evicted;
    return residence.link;
  }

  async #measure<T>(
    phase: PhaseName,
    work: (figures: PhaseFigures) => Promise<T>,
    isGivenUp?: () => boolean,
  ): Promise<T> {
    const startedAt = performance.now();
    const result = await this.context.measure(phase, this.spec, work, isGivenUp);
    this.#phaseSeconds[phase] = (performance.now() - startedAt) / 1000;
    return result;
  }

  async #phase(kind: FailureKind, call: InstanceCall, timeoutSeconds: number): Promise<unknown> {
    return this.link.call(call, timeoutSeconds).catch(failAs(kind));
  }

  /** The socket has ended unasked, and with it the instance; how the process ended is known a little later. */
  async #gone(residence: Residence, broken: string | null): Promise<void> {
    if (this.#ending) return;
    if (broken !== null) residence.kill(`sent what the protocol does not allow (${broken})`);
    this.#watch?.stop();
    // While it is raised, the phase at hand fails; while it is retired, it is as good as gone.
    if (!canServe(this.#lifecycle)) return;
    this.#advance({ event: 'failed', kind: null, error: `${this.#what} ended.` });
    const how = `${this.#what} ${await residence.ended()}.`;
    this.#log('error', 'host', how);
    this.#reportCrash(how);
  }

  get pid(): number | null {
    return this.#residence?.pid ?? null;
  }

  get #what(): string {
    return this.#release?.manifest.isolation === 'thread' ? 'The thread' : 'The process';
  }

  #advance(event: LifecycleEvent): void {
    this.#lifecycle = advance(this.#lifecycle, event);
    this.context.onChange();
  }

  #log(level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], message: string): void {
    const { module } = this.spec;
    this.context.log({ level, source, module, release: this.name, pid: this.pid, message });
  }
}

/** Of what failed otherwise; a LoadError has its kind. */
function failAs(kind: FailureKind): (error: unknown) => never {
  return (error) => {
    throw error instanceof LoadError ? error : new LoadError(kind, messageOf(error));
  };
}
