import { HostError } from './errors.js';
import type { HostRequest } from './http.js';
import type { Instance } from './instance.js';

/** Requests that wait while state changes hands; as many as the instance takes at a time, the others are refused. */
export class Hold {
  /** All that have waited so far. */
  count = 0;
  #waiting = 0;
  readonly #over = Promise.withResolvers<void>();

  constructor(private readonly instance: Instance) {}

  /** Rejects with a HostError where too many wait, or at the request's deadline; with its signal's reason when the client leaves. */
  async wait({ signal }: HostRequest): Promise<void> {
    const { name, manifest } = this.instance;
    const { inFlight, requestSeconds } = manifest.limits;
    if (signal.aborted) throw signal.reason;
    if (this.#waiting >= inFlight)
      throw new HostError('overloaded', `${this.#waiting} requests wait while ${name} hands over its state.`, name);
    const gone = Promise.withResolvers<never>();
    const late = () =>
      gone.reject(
        new HostError('deadline-exceeded', `${name} did not hand over its state within ${requestSeconds} s.`, name),
      );
    const leave = { handleEvent: () => gone.reject(signal.reason) };
    const timer = setTimeout(late, requestSeconds * 1000);
    signal.addEventListener('abort', leave);
    this.count++;
    this.#waiting++;
    await Promise.race([this.#over.promise, gone.promise]).finally(() => {
      this.#waiting--;
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    });
  }

  release(): void {
    this.#over.resolve();
  }
}
