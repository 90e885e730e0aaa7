import { isoInstant, type Instant } from '../instant.js';
import type { Reason } from '../reason.js';

/** Since when something is waited for, by the code of the reason. It is kept in the deployment's row, within its reason. */
export interface Wait {
  code: string;
  since: Instant;
  /** Of a wait whose frozen time does not count: how much there was of it, beside what counts for nothing anyway. */
  frozenMilliseconds?: number;
  /** ... and when it was looked at under a freeze, and counted up to then. */
  frozenAt?: Instant;
}

/** How long anything is waited for that only a person can end. */
export const personHours = 24;

/** What a reason that was written down says of a wait that began with it, or with one before it. */
export function waitOf(because: Reason | null): Wait | null {
  const { wait } = (because?.data ?? {}) as { wait?: Partial<Record<keyof Told, unknown>> };
  if (typeof wait?.code !== 'string' || typeof wait.sinceAt !== 'string') return null;
  const since = Date.parse(wait.sinceAt);
  if (Number.isNaN(since)) return null;
  const { code, frozenMilliseconds } = wait;
  const frozenAt = typeof wait.frozenAt === 'string' ? Date.parse(wait.frozenAt) : Number.NaN;
  return {
    code,
    since,
    ...(typeof frozenMilliseconds === 'number' && { frozenMilliseconds }),
    ...(!Number.isNaN(frozenAt) && { frozenAt }),
  };
}

/** The wait while the rollout stands still: that time counts for nothing, whether it is frozen or not. */
export function standingStill(wait: Wait | null): Wait | null {
  return wait && { ...wait, frozenAt: undefined };
}

/** A wait in a reason's data. */
interface Told {
  code: string;
  sinceAt: string;
  frozenMilliseconds?: number;
  frozenAt?: string;
}

/** The reason with its wait written into it. */
export function withWait(because: Reason, wait: Wait | null): Reason {
  if (!wait) return because;
  const { code, since, frozenMilliseconds = 0, frozenAt } = wait;
  const told: Told = {
    code,
    sinceAt: isoInstant(since),
    ...(frozenMilliseconds > 0 && { frozenMilliseconds }),
    ...(frozenAt !== undefined && { frozenAt: isoInstant(frozenAt) }),
  };
  return { ...because, data: { ...because.data, wait: told } };
}
