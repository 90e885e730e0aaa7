import { setTimeout as delay } from 'node:timers/promises';

/** Looks until `look` answers something truthy, and answers that; fails after half a minute. */
export async function waitFor<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  const until = performance.now() + 30_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > until) throw new Error(`Waited in vain for ${what}`);
    await delay(25);
  }
}
