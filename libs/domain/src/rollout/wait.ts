import { isoInstant, type Instant } from '../instant.js';
import type { Reason } from '../reason.js';

/** Since when something is waited for, by the code of the reason. It is kept in the deployment's row, within its reason. */
export interface Wait {
  code: string;
  since: Instant;
}

/** How long anything is waited for that only a person can end. */
export const personHours = 24;

/** What a reason that was written down says of a wait that began with it, or with one before it. */
export function waitOf(because: Reason | null): Wait | null {
  const { wait } = (because?.data ?? {}) as { wait?: { code?: unknown; sinceAt?: unknown } };
  if (typeof wait?.code !== 'string' || typeof wait.sinceAt !== 'string') return null;
  const since = Date.parse(wait.sinceAt);
  return Number.isNaN(since) ? null : { code: wait.code, since };
}

/** The reason with its wait written into it. */
export function withWait(because: Reason, wait: Wait | null): Reason {
  if (!wait) return because;
  const { code, since } = wait;
  return { ...because, data: { ...because.data, wait: { code, sinceAt: isoInstant(since) } } };
}
