import { messageOf } from './errors.js';
import { CallError, type InstanceLink } from './instance-link.js';
import type { HostTiming } from './timing.js';

/** The module's functions that are called in the course of its life, one after the other. What it does not have is not asked for. */
export class Hooks {
  #last: Promise<unknown> = Promise.resolve();
  #isWorking = false;
  /** A call of `activate` that was not answered may still begin work at any time. */
  #isActivationLost = false;
  #deactivating: Promise<void> | null = null;

  constructor(
    private readonly link: InstanceLink,
    private readonly functions: ReadonlySet<string>,
    private readonly timing: HostTiming,
    private readonly warn: (message: string) => void,
  ) {}

  /** Whether background work may go on. */
  get isWorking(): boolean {
    return this.#isWorking;
  }

  /** @throws CallError */
  async activate(): Promise<void> {
    this.#isWorking = this.functions.has('activate') || this.functions.has('deactivate');
    await this.#call('activate', this.timing.startSeconds).catch((error: unknown) => {
      this.#isActivationLost = error instanceof CallError && error.isLate;
      throw error;
    });
  }

  /** Resolves when the module has answered, or has not in time. */
  async deactivate(): Promise<void> {
    if (this.#isWorking) await (this.#deactivating ??= this.#deactivate().finally(() => (this.#deactivating = null)));
  }

  /** When all work given to `waitUntil` has ended. @throws CallError */
  async settle(seconds: number): Promise<void> {
    await this.#call('settle', seconds);
  }

  async stop(): Promise<void> {
    await this.#call('stop', this.timing.stopSeconds).catch((error: unknown) =>
      this.warn(`Stopping failed: ${messageOf(error)}`),
    );
  }

  async #deactivate(): Promise<void> {
    try {
      await this.#call('deactivate', this.timing.stopSeconds);
    } catch (error) {
      this.warn(`Deactivating failed: ${messageOf(error)}`);
      // What it answers, even that it failed, is its word that it has done what it can.
      if (!this.link.open || (error instanceof CallError && error.isLate)) return;
    }
    this.#isWorking = this.#isActivationLost;
  }

  /** @throws CallError */
  async #call(call: 'activate' | 'deactivate' | 'settle' | 'stop', timeoutSeconds: number): Promise<void> {
    if (call !== 'settle' && !this.functions.has(call)) return;
    const run = this.#last.then(() => this.link.call({ call }, timeoutSeconds));
    this.#last = run.catch(() => undefined);
    await run;
  }
}
