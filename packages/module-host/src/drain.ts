import type { InstanceLink } from './instance-link.js';

/** Of the requests that were in flight: how many have ended by themselves, and how many were cut. */
export interface Drained {
  drained: number;
  cut: number;
}

/** Waits until nothing is in flight; after so many seconds cuts what was so at the beginning, unless the signal is aborted before. */
export async function drain(link: InstanceLink, seconds: number, signal: AbortSignal | null): Promise<Drained> {
  const { exchanges } = link;
  const present = [...exchanges];
  const deadline = AbortSignal.timeout(Math.round(seconds * 1000));
  await link.idle(signal === null ? deadline : AbortSignal.any([deadline, signal]));
  const late = present.filter(([id, exchange]) => exchanges.get(id) === exchange).map(([, exchange]) => exchange);
  const drained = present.length - late.length;
  if (signal?.aborted || !deadline.aborted) return { drained, cut: 0 };
  for (const exchange of late) exchange.cut();
  return { drained, cut: late.length };
}
