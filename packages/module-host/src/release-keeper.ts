import { setTimeout as pause } from 'node:timers/promises';
import type { FailureKind, InstanceReport, ReleaseSpec } from '@hotswap/agent-protocol';
import { LoadError, messageOf } from './errors.js';
import { Instance } from './instance.js';
import type { InstanceContext } from './instance-context.js';
import { releaseName } from './release.js';
import { afterCrash, retryPauseSeconds } from './retry.js';

type Ending = { how: 'crashed'; message: string } | { how: 'condemned'; error: LoadError } | { how: 'released' };

/** Keeps one instance of a release started for as long as it is wanted: raises it, and raises another when that fails or dies. */
export class ReleaseKeeper {
  /** Why the release is not to be had; stays until it is ready again (after a failed activation, until it is activated). */
  failure: { kind: FailureKind; message: string } | null = null;
  /** When its last pending work has ended, after `release()`. */
  readonly finished: Promise<void>;
  #instance: Instance;
  #crashes = 0;
  #crashedAtSeconds: number[] = [];
  #lastCrash: string | null = null;
  #failuresInRow = 0;
  #released = new AbortController();
  #end: ((ending: Ending) => void) | null = null;

  constructor(
    readonly spec: ReleaseSpec,
    private readonly context: InstanceContext,
  ) {
    this.#instance = new Instance(spec, context);
    this.finished = this.#keep();
  }

  /** The instance that requests may be given to; null: none now. */
  get ready(): Instance | null {
    return this.#instance.serving ? this.#instance : null;
  }

  /** Reached or failed; a try that follows a failure does not count as under way. */
  get settled(): boolean {
    return this.#instance.serving || this.failure !== null;
  }

  /** It was activated: whatever went wrong before is over. */
  confirm(): void {
    this.failure = null;
    this.#failuresInRow = 0;
  }

  /** Its instance, though ready, can't be used; whoever says so retires that instance. Another is raised after a pause. */
  condemn(error: LoadError): void {
    this.#instance.condemn(error.kind, error.message);
    this.#end?.({ how: 'condemned', error });
  }

  /** It is not wanted any more. Answers the instance that has to be retired, where there is one. */
  release(): Instance | null {
    const ready = this.ready;
    this.#released.abort(new Error('The release is not wanted any more.'));
    this.#end?.({ how: 'released' });
    return ready;
  }

  report(): InstanceReport | null {
    const report = this.#instance.report(this.#crashes);
    if (report === null) return null;
    if (this.failure !== null && report.state !== 'Active')
      return { ...report, state: 'Failed', failureKind: this.failure.kind, error: this.failure.message };
    if (report.state === 'Failed') return { ...report, state: 'Starting', error: this.#lastCrash };
    return { ...report, error: this.#instance.serving ? null : this.#lastCrash };
  }

  async #keep(): Promise<void> {
    const { signal } = this.#released;
    while (!signal.aborted) {
      const pauseSeconds = await this.#keepOne(this.#instance);
      this.context.onChange();
      await pause(pauseSeconds * 1000, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) this.#instance = new Instance(this.spec, this.context);
    }
  }

  /** From raising an instance to its end. Answers how long to wait before the next. */
  async #keepOne(instance: Instance): Promise<number> {
    try {
      await instance.raise(this.#released.signal);
    } catch (error) {
      if (this.#released.signal.aborted) return 0;
      return this.#fail(error instanceof LoadError ? error : new LoadError('load', messageOf(error)));
    }
    if (this.failure?.kind !== 'activate') this.failure = null;
    this.context.onChange();
    const ending = await this.#endingOf(instance);
    if (ending.how === 'released') return 0;
    return ending.how === 'crashed' ? this.#crash(ending.message) : this.#fail(ending.error);
  }

  async #endingOf(instance: Instance): Promise<Ending> {
    if (this.#released.signal.aborted) return { how: 'released' };
    return new Promise((resolve) => {
      this.#end = resolve;
      void instance.crashed.then((message) => resolve({ how: 'crashed', message }));
    });
  }

  #fail(error: LoadError): number {
    const { timing } = this.context;
    this.#failuresInRow++;
    this.failure = { kind: error.kind, message: error.message };
    const pauseSeconds = retryPauseSeconds(error.kind, this.#failuresInRow, timing);
    this.#log(`Not ready (${error.kind}): ${error.message} Trying again in ${pauseSeconds} s.`);
    return pauseSeconds;
  }

  #crash(message: string): number {
    const { timing } = this.context;
    this.#crashes++;
    this.#lastCrash = message;
    this.#crashedAtSeconds = [...this.#crashedAtSeconds, performance.now() / 1000].slice(-timing.crashLoopCount);
    const { crashLoop, pauseSeconds, countInWindow } = afterCrash(this.#crashedAtSeconds, timing);
    if (crashLoop)
      this.failure = {
        kind: 'crash-loop',
        message: `Ended unasked ${countInWindow} times within ${timing.crashWindowSeconds} s, last: ${message}`,
      };
    this.#log(`Starting another process in ${pauseSeconds} s.`);
    return pauseSeconds;
  }

  #log(message: string): void {
    const { module } = this.spec;
    this.context.log({ level: 'warn', source: 'host', module, release: releaseName(this.spec), pid: null, message });
  }
}
