import { realpath } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import type { FailureKind, InstanceReport, ReleaseSpec } from '@hotswap/agent-protocol';
import type { Enclose } from './enclose.js';
import type { Enclosure } from './enclosure.js';
import { HostError, LoadError, messageOf } from './errors.js';
import type { ExchangeResult } from './exchange.js';
import type { HostRequest, HostResponse } from './http.js';
import { CallError, InstanceLink } from './instance-link.js';
import {
  advance,
  canAdvance,
  canServe,
  isOver,
  reportedState,
  type Lifecycle,
  type LifecycleEvent,
} from './lifecycle.js';
import type { ModuleLog, ModuleLogEntry } from './module-log.js';
import { entryPath, rssBytesMax } from './process-arguments.js';
import type { MeasurePhase, PhaseName } from './phase.js';
import { Pulse } from './pulse.js';
import { environmentOf, releaseName, type LoadableRelease } from './release.js';
import { readSecrets } from './secrets.js';
import { checkHealthPath, smokeTest } from './smoke-test.js';
import type { HostTiming } from './timing.js';
import type { ReleaseTraffic } from './traffic.js';
import type { InstanceCall, InstanceStatistics, LoadResult } from './wire/messages.js';

/** `traceparent` (W3C) is that of the assignment that the release is loaded for. */
export type LoadRelease = (
  spec: ReleaseSpec,
  signal: AbortSignal,
  traceparent: string | null,
) => Promise<LoadableRelease>;

export interface InstanceContext {
  load(spec: ReleaseSpec, signal: AbortSignal): Promise<LoadableRelease>;
  enclose: Enclose;
  measure: MeasurePhase;
  log: ModuleLog;
  timing: HostTiming;
  traffic: Pick<ReleaseTraffic, 'observe' | 'forget'>;
  /** Something that the report tells has changed. */
  onChange(): void;
}

/** Requests that never reach the router's counters: of health and smoke tests. */
const uncounted = () => undefined;

/** One process (or thread) of one release, from fetching the release until it has ended. Made once, never raised again. */
export class Instance {
  readonly name: string;
  /** Resolves, with how, when a process that had been ready ended unasked. */
  readonly crashed: Promise<string>;
  #reportCrash!: (how: string) => void;
  #lifecycle: Lifecycle = { state: 'fetching' };
  #release: LoadableRelease | null = null;
  #enclosure: Enclosure | null = null;
  #link: InstanceLink | null = null;
  #pulse: Pulse | null = null;
  #cpuSeconds = 0;
  #ending = false;
  #endReason: string | null = null;
  /** Aborted when it is activated again, or retired: whoever does that looks after what is in flight. */
  #cooling = new AbortController();
  /** The module's hooks run one after the other. */
  #hooks: Promise<unknown> = Promise.resolve();

  constructor(
    readonly spec: ReleaseSpec,
    private readonly context: InstanceContext,
  ) {
    this.name = releaseName(spec);
    this.crashed = new Promise((resolve) => (this.#reportCrash = resolve));
  }

  /** Requests may be given to it now. */
  get serving(): boolean {
    return canServe(this.#lifecycle) && this.#link !== null && this.#link.open;
  }

  get state(): Lifecycle['state'] {
    return this.#lifecycle.state;
  }

  /** @throws Error before the release is fetched. */
  get manifest(): LoadableRelease['manifest'] {
    if (this.#release === null) throw new Error(`${this.name} is not fetched yet.`);
    return this.#release.manifest;
  }

  /** Null: its module declares no state. */
  get handoverSeconds(): number | null {
    return this.manifest.state?.handoverSeconds ?? null;
  }

  /** The header by which requests keep to one release; null: each is drawn for itself. */
  get affinityHeader(): string | null {
    return this.manifest.affinity?.header ?? null;
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
      pid: this.#link?.open === true ? (this.#enclosure?.pid ?? null) : null,
    };
  }

  /**
   * Fetches, loads, starts, checks health, smoke-tests: afterwards it is ready. When the signal is aborted it ends, retired.
   *
   * @throws LoadError with the phase that failed (the process is then ended), or the signal's reason.
   */
  async raise(signal: AbortSignal): Promise<void> {
    const abandon = () => this.#enclosure?.kill();
    signal.addEventListener('abort', abandon);
    try {
      await this.#raise(signal);
      signal.throwIfAborted();
      if (this.#link?.open !== true) throw new LoadError('start', `${this.#what} ended.`);
    } catch (error) {
      this.#ending = true;
      const hasGone = this.#link?.open === false;
      this.#stopPulse();
      this.#enclosure?.kill();
      const exit = await this.#enclosure?.end();
      if (signal.aborted) {
        this.#advance({ event: 'retired' });
        throw signal.reason;
      }
      const kind = error instanceof LoadError ? error.kind : 'fetch';
      const how = hasGone ? `${this.#what} ${this.#endReason ?? exit}.` : messageOf(error);
      this.#advance({ event: 'failed', kind, error: how });
      throw new LoadError(kind, how);
    } finally {
      signal.removeEventListener('abort', abandon);
    }
    this.#advance({ event: 'passed' });
  }

  /** @throws HostError where the instance has just ended. */
  send(request: HostRequest, onEnd: (result: ExchangeResult) => void): Promise<HostResponse> {
    if (this.#link === null) throw new HostError('module-not-ready', `${this.name} is not loaded.`, this.name);
    const { requestSeconds, requestBodyMiB } = this.manifest.limits;
    const limits = { requestSeconds, requestBodyBytesMax: requestBodyMiB * 1024 * 1024 };
    return this.#link.exchange(request, limits, onEnd).response;
  }

  /** From ready or deactivated to active. @throws LoadError of kind `activate`; the instance is as it was. */
  async activate(): Promise<void> {
    this.#cooling.abort();
    await this.#hook('activate', this.context.timing.startSeconds).catch((error: unknown) => {
      throw new LoadError('activate', messageOf(error));
    });
    if (!this.serving || !canAdvance(this.#lifecycle, 'activated'))
      throw new LoadError('activate', `${this.name} ended while it was activated.`);
    this.#advance({ event: 'activated' });
  }

  /** From active to deactivated, at once; resolves when the module's background work has been told to end, or did not answer in time. It still serves. */
  async standDown(): Promise<void> {
    this.#advance({ event: 'deactivated' });
    await this.#hook('deactivate', this.context.timing.stopSeconds).catch((error: unknown) =>
      this.#log('warn', 'host', `Deactivating failed: ${messageOf(error)}`),
    );
  }

  /** It was replaced: what is in flight may take so many seconds. */
  coolDown(drainSeconds: number): void {
    const { signal } = (this.#cooling = new AbortController());
    void this.#measure('drain', () => this.#drain(drainSeconds, signal));
  }

  /** Waits until nothing is in flight, nor given to `waitUntil`, and takes its state. @throws Error when that takes longer, or its `snapshot` fails. */
  async snapshot(seconds: number): Promise<Buffer> {
    const until = performance.now() + seconds * 1000;
    const link = this.#link;
    if (link === null) throw new CallError('The instance has no process.');
    const deadline = AbortSignal.timeout(Math.round(seconds * 1000));
    await link.idle(deadline);
    if (deadline.aborted) throw new CallError(`${link.exchanges.size} requests had not ended after ${seconds} s.`);
    await this.#hook('settle', Math.max(0.001, (until - performance.now()) / 1000));
    return link.snapshot(Math.max(0.001, (until - performance.now()) / 1000));
  }

  /** What it has now, whatever is in flight. */
  async sketch(seconds: number): Promise<Buffer> {
    if (this.#link === null) throw new CallError('The instance has no process.');
    return this.#link.snapshot(seconds);
  }

  async restore(state: Buffer, seconds: number): Promise<void> {
    if (this.#link === null) throw new CallError('The instance has no process.');
    await this.#link.restore(state, seconds);
  }

  /** Ends what is in flight, whoever still waits for it. */
  cut(): void {
    for (const exchange of [...(this.#link?.exchanges.values() ?? [])]) exchange.cut();
  }

  /** Marks an instance that must not be used any more, though its process runs: it still has to be retired. */
  condemn(kind: FailureKind, error: string): void {
    if (!isOver(this.#lifecycle)) this.#advance({ event: 'failed', kind, error });
  }

  /** Deactivates, drains, stops and ends it. For an instance that was never ready, see the signal of `raise`. */
  retire(drainSeconds: number): Promise<void> {
    return this.#measure('retire', () => this.#retire(drainSeconds));
  }

  async #retire(drainSeconds: number): Promise<void> {
    const startedAt = performance.now();
    const wasActive = this.#lifecycle.state === 'active';
    if (wasActive) void this.standDown();
    this.#cooling.abort();
    if (canAdvance(this.#lifecycle, 'drain')) this.#advance({ event: 'drain' });
    const drain = () => this.#drain(drainSeconds, null);
    // What rested was replaced, and drained, before.
    await (wasActive ? this.#measure('drain', drain) : drain());
    const remaining = Math.max(0, drainSeconds - (performance.now() - startedAt) / 1000);
    await this.#hook('settle', Math.max(remaining, 0.1)).catch((error: unknown) =>
      this.#log('warn', 'host', `Work given to waitUntil was cut: ${messageOf(error)}`),
    );
    await this.#hook('stop', this.context.timing.stopSeconds).catch((error: unknown) =>
      this.#log('warn', 'host', `Stopping failed: ${messageOf(error)}`),
    );
    this.#ending = true;
    this.#stopPulse();
    await this.#enclosure?.end();
    if (canAdvance(this.#lifecycle, 'retired')) this.#advance({ event: 'retired' });
  }

  /** Waits until nothing is in flight; after so many seconds cuts what was so at the beginning, unless the signal is aborted before. */
  async #drain(seconds: number, signal: AbortSignal | null): Promise<void> {
    if (this.#link === null) return;
    const { exchanges } = this.#link;
    const present = [...exchanges];
    const deadline = AbortSignal.timeout(Math.round(seconds * 1000));
    await this.#link.idle(signal === null ? deadline : AbortSignal.any([deadline, signal]));
    if (signal?.aborted || !deadline.aborted) return;
    const late = present.filter(([id, exchange]) => exchanges.get(id) === exchange).map(([, exchange]) => exchange);
    if (late.length === 0) return;
    this.#log('warn', 'host', `Cut ${late.length} requests that had not ended ${seconds} s after it was replaced.`);
    for (const exchange of late) exchange.cut();
  }

  async #raise(signal: AbortSignal): Promise<void> {
    const fetched = await this.context.load(this.spec, signal);
    signal.throwIfAborted();
    this.#advance({ event: 'verified' });
    const hasHealth = await this.#measure('load', () => this.#load(fetched, signal));
    this.#advance({ event: 'loaded' });
    await this.#measure('start', () => this.#phase('start', { call: 'start' }, this.context.timing.startSeconds));
    this.#advance({ event: 'started' });
    const { health, smoke } = this.manifest;
    if (hasHealth || health.path !== null) await this.#measure('health', () => this.#checkHealth(hasHealth));
    const send = (request: HostRequest) => this.send(request, uncounted);
    if (smoke.length > 0) await this.#measure('smoke', () => smokeTest(send, smoke, health.timeoutSeconds));
    this.#pulse = new Pulse(
      this.context.timing,
      () => this.#ping(),
      (statistics) => this.#observe(statistics),
      () => this.#stalled(),
    );
  }

  /** Answers whether the module has a health check of its own. */
  async #load(fetched: LoadableRelease, signal: AbortSignal): Promise<boolean> {
    const [directory, secrets] = await Promise.all([
      // What may be read is compared with real paths.
      realpath(fetched.directory),
      readSecrets(fetched.secretsDirectory, this.spec.module),
    ]).catch((error: unknown) => {
      throw new LoadError('load', messageOf(error));
    });
    const release = (this.#release = { ...fetched, directory });
    signal.throwIfAborted();
    this.#spawn(release);
    const entryUrl = pathToFileURL(entryPath(release)).href;
    const env = environmentOf(release, secrets);
    const call: InstanceCall = { call: 'load', entryUrl, env };
    const { hasHealth } = (await this.#phase('load', call, this.context.timing.loadSeconds)) as LoadResult;
    return hasHealth;
  }

  async #checkHealth(hasHealth: boolean): Promise<void> {
    const { path, timeoutSeconds } = this.manifest.health;
    if (hasHealth) await this.#phase('health', { call: 'health' }, timeoutSeconds);
    if (path === null) return;
    await checkHealthPath((request) => this.send(request, uncounted), path, timeoutSeconds);
  }

  #spawn(release: LoadableRelease): void {
    this.#enclosure = this.context.enclose(release, (level, source, message) => this.#log(level, source, message));
    this.#link = new InstanceLink(this.#enclosure.wire, this.name, (broken) => void this.#gone(broken));
    this.#advance({ event: 'spawned' });
  }

  #measure<T>(phase: PhaseName, work: () => Promise<T>): Promise<T> {
    return this.context.measure(phase, this.spec, work);
  }

  async #phase(kind: FailureKind, call: InstanceCall, timeoutSeconds: number): Promise<unknown> {
    try {
      return await this.#call(call, timeoutSeconds);
    } catch (error) {
      throw new LoadError(kind, messageOf(error));
    }
  }

  async #call(call: InstanceCall, timeoutSeconds: number): Promise<unknown> {
    if (this.#link === null) throw new CallError('The instance has no process.');
    return this.#link.call(call, timeoutSeconds);
  }

  /** @throws CallError */
  async #hook(name: 'activate' | 'deactivate' | 'settle' | 'stop', timeoutSeconds: number): Promise<void> {
    const run = this.#hooks.then(() => this.#call({ call: name }, timeoutSeconds));
    this.#hooks = run.catch(() => undefined);
    await run;
  }

  async #ping(): Promise<InstanceStatistics> {
    // Its deadline is the pulse's: a late answer is still a sign.
    return (await this.#call({ call: 'ping' }, 3600)) as InstanceStatistics;
  }

  #observe({ cpuSeconds, rssBytes, eventLoopDelaySeconds }: InstanceStatistics): void {
    if (this.#enclosure === null || this.#ending) return;
    this.context.traffic.observe(
      this.#enclosure,
      Math.max(0, cpuSeconds - this.#cpuSeconds),
      rssBytes,
      eventLoopDelaySeconds,
    );
    this.#cpuSeconds = cpuSeconds;
    const limit = rssBytesMax(this.manifest.limits);
    if (rssBytes > limit)
      this.#kill(
        `used ${Math.round(rssBytes / 2 ** 20)} MiB of memory, more than the ${Math.round(limit / 2 ** 20)} MiB that its limit allows`,
      );
  }

  #stalled(): void {
    this.#kill(`did not respond for ${this.context.timing.stallSeconds} s`);
  }

  #kill(reason: string): void {
    this.#endReason = `${reason}, and was ended`;
    this.#enclosure?.kill();
  }

  /** The socket has ended unasked, and with it the instance; how the process ended is known a little later. */
  async #gone(broken: string | null): Promise<void> {
    if (this.#ending) return;
    if (broken !== null) this.#kill(`sent what the protocol does not allow (${broken})`);
    this.#stopPulse();
    // While it is raised, the phase at hand fails; while it is retired, it is as good as gone.
    if (!canServe(this.#lifecycle)) return;
    this.#advance({ event: 'failed', kind: null, error: `${this.#what} ended.` });
    const exit = await this.#enclosure?.ended;
    const how = `${this.#what} ${this.#endReason ?? exit}.`;
    this.#log('error', 'host', how);
    this.#reportCrash(how);
  }

  get #what(): string {
    return this.#release?.manifest.isolation === 'thread' ? 'The thread' : 'The process';
  }

  #stopPulse(): void {
    this.#pulse?.stop();
    if (this.#enclosure !== null) this.context.traffic.forget(this.#enclosure);
  }

  #advance(event: LifecycleEvent): void {
    this.#lifecycle = advance(this.#lifecycle, event);
    this.context.onChange();
  }

  #log(level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], message: string): void {
    const { module } = this.spec;
    this.context.log({ level, source, module, release: this.name, pid: this.#enclosure?.pid ?? null, message });
  }
}
