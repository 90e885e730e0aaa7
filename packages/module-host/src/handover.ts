import { HostError, LoadError, messageOf } from './errors.js';
import type { Instance } from './instance.js';

/** Requests that wait while state changes hands; as many as the instance takes at a time, the others are refused. */
export class Hold {
  count = 0;
  readonly #over = Promise.withResolvers<void>();

  constructor(private readonly instance: Instance) {}

  /** Rejects with a HostError where too many wait. */
  wait(): Promise<void> {
    const { limits } = this.instance.manifest;
    const { name } = this.instance;
    if (this.count >= limits.inFlight)
      throw new HostError('overloaded', `${this.count} requests wait while ${name} hands over its state.`, name);
    this.count++;
    return this.#over.promise;
  }

  release(): void {
    this.#over.resolve();
  }
}

/**
 * Gives the state of one instance to another. First a rehearsal while everything goes on: what can't be restored is found without anybody having to wait.
 * Then requests are held, what is in flight ends, background work ends, and the state as it then is goes over.
 *
 * @throws LoadError of kind `activate`; nothing is lost then: the first has its state still, and may go on.
 */
export async function handOver(from: Instance, to: Instance, hold: () => void): Promise<void> {
  const seconds = to.handoverSeconds ?? 0;
  try {
    await to.restore(await from.sketch(seconds), seconds);
    hold();
    if (from.state === 'active') await from.standDown();
    await to.restore(await from.snapshot(seconds), seconds);
  } catch (error) {
    throw new LoadError('activate', `The state of ${from.name} could not be handed over: ${messageOf(error)}`);
  }
}
