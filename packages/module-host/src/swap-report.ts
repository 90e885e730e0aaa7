import type { SwapReport } from '@hotswap/agent-protocol';
import type { Instance } from './instance.js';

/** Of a flip at this moment. @param toldAt when the node was told to make `next` active, by the monotonic clock. */
export function swapReport(
  next: Instance,
  previous: Instance | null,
  toldAt: number,
  handedOver: { held: number; stateBytes: number | null },
): SwapReport {
  return {
    release: next.spec.digest,
    from: previous?.spec.digest ?? null,
    seconds: (performance.now() - toldAt) / 1000,
    began: next.readyAt <= toldAt ? 'waiting' : next.isSpare ? 'spare' : 'new',
    ...handedOver,
    drained: null,
    cut: null,
  };
}
