import type { ReleaseSpec } from '@hotswap/agent-protocol';
import type { LoadError } from './errors.js';
import type { MemoryRole } from './memory-budget.js';
import type { ModuleLog } from './module-log.js';
import type { MeasurePhase } from './phase.js';
import type { Quarters } from './quarters.js';
import type { LoadableRelease } from './release.js';
import type { WatchContext } from './watch.js';

/** `traceparent` (W3C) is that of the assignment that the release is loaded for. */
export type LoadRelease = (
  spec: ReleaseSpec,
  signal: AbortSignal,
  traceparent: string | null,
) => Promise<LoadableRelease>;

/** What an instance needs of whoever keeps it. */
export interface InstanceContext extends WatchContext {
  load(spec: ReleaseSpec, signal: AbortSignal): Promise<LoadableRelease>;
  measure: MeasurePhase;
  log: ModuleLog;
  quarters: Pick<Quarters, 'take' | 'measure'>;
  memoryRole(): MemoryRole;
  /** As the tenant says it of itself. */
  isAwaited(): boolean;
  /** The node needs its memory: it must not be used any more, and has to be retired. */
  onMemoryNeeded(error: LoadError): void;
  /** Something that the report tells has changed. */
  onChange(): void;
}
