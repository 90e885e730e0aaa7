const intervalMilliseconds = 100;

/** How late the event loop runs its timers; looked at ten times a second, which an idle process does not feel. */
export class EventLoopDelay {
  #expectedAt = performance.now() + intervalMilliseconds;
  #longest = 0;

  constructor() {
    setInterval(() => this.#look(), intervalMilliseconds).unref();
  }

  /** The longest delay since the last call. */
  takeSeconds(): number {
    const longest = Math.max(this.#longest, performance.now() - this.#expectedAt, 0);
    this.#longest = 0;
    return longest / 1000;
  }

  #look(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#expectedAt);
    this.#expectedAt = now + intervalMilliseconds;
  }
}
