import { setTimeout as delay } from 'node:timers/promises';

/** Waiting times that double from `firstMs` to `mostMs`, each shortened by chance to as little as half so that nodes don't come back in step. */
export class Backoff {
  private attempt = 0;

  constructor(
    private readonly firstMs: number,
    private readonly mostMs: number,
  ) {}

  reset(): void {
    this.attempt = 0;
  }

  /** Waits for the next time; ends early, without an error, when `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const most = Math.min(this.mostMs, this.firstMs * 2 ** this.attempt++);
    await delay(most * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  }
}
