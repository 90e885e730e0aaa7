import type { ReleaseSpec } from '@hotswap/agent-protocol';

/** Which of the releases that shall be kept warm still are: each for `warmSeconds` from when it was first ready and nothing but warm. */
export class WarmList {
  #timers = new Map<string, { warmSeconds: number; since: number; timer: NodeJS.Timeout }>();
  #expired = new Set<string>();

  /** @param onExpire one of them has been warm for long enough. */
  constructor(private readonly onExpire: () => void) {}

  isExpired(release: ReleaseSpec): boolean {
    return this.#expired.has(release.digest);
  }

  /** @param resting digests that are ready and only warm. @param listed all that the assignment lists as warm. */
  update(resting: ReadonlySet<string>, listed: ReadonlySet<string>, warmSeconds: number): void {
    for (const digest of this.#expired) if (!listed.has(digest)) this.#expired.delete(digest);
    for (const [digest, entry] of this.#timers) {
      if (resting.has(digest) && entry.warmSeconds === warmSeconds) continue;
      clearTimeout(entry.timer);
      if (resting.has(digest)) this.#start(digest, warmSeconds, entry.since);
      else this.#timers.delete(digest);
    }
    for (const digest of resting) if (!this.#timers.has(digest)) this.#start(digest, warmSeconds, performance.now());
  }

  /** Its time is over, or it is ended ahead of it; until it is not listed any more. */
  expire(digest: string): void {
    clearTimeout(this.#timers.get(digest)?.timer);
    this.#timers.delete(digest);
    this.#expired.add(digest);
    this.onExpire();
  }

  #start(digest: string, warmSeconds: number, since: number): void {
    const remaining = Math.max(0, since + warmSeconds * 1000 - performance.now());
    const timer = setTimeout(() => this.expire(digest), remaining);
    this.#timers.set(digest, { warmSeconds, since, timer });
  }
}
