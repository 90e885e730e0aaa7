import { setTimeout as delay } from 'node:timers/promises';

/**
 * Looks until `condition` answers something truthy, and answers that. A condition that throws is looked at again.
 * @throws Error after `deadlineSeconds`, with what it saw or threw last
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  { deadlineSeconds = 120, pollMilliseconds = 100 } = {},
): Promise<NonNullable<T>> {
  const until = performance.now() + deadlineSeconds * 1000;
  let last: unknown = 'nothing';
  for (;;) {
    try {
      const seen = await condition();
      if (seen) return seen;
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() > until) {
      throw new Error(`Waited ${deadlineSeconds} s in vain for ${what}; last: ${String(last)}`, { cause: last });
    }
    await delay(pollMilliseconds);
  }
}
