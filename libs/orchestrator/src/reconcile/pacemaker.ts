/**
 * Calls a duty again and again: at most `intervalMilliseconds` after the last one ended, or sooner when nudged. Never twice at a time; a failing
 * duty is reported and called again.
 */
export class Pacemaker {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private isNudged = false;
  private isStopped = true;

  constructor(
    private readonly intervalMilliseconds: number,
    private readonly duty: () => Promise<void>,
    private readonly onError: (error: unknown) => void,
  ) {}

  start(): void {
    this.isStopped = false;
    this.run();
  }

  nudge(): void {
    if (this.isStopped) return;
    if (this.running) this.isNudged = true;
    else this.run();
  }

  /** Resolves when the call under way has ended. */
  async stop(): Promise<void> {
    this.isStopped = true;
    if (this.timer) clearTimeout(this.timer);
    await this.running;
  }

  private run(): void {
    if (this.timer) clearTimeout(this.timer);
    this.isNudged = false;
    this.running = this.duty()
      .catch(this.onError)
      .then(() => {
        this.running = null;
        if (this.isStopped) return;
        this.timer = setTimeout(() => this.run(), this.isNudged ? 0 : this.intervalMilliseconds);
      });
  }
}
