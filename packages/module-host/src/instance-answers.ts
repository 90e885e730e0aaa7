import { LoadError } from './errors.js';
import { CallError } from './instance-link.js';
import type { InstanceStatistics, LoadResult } from './wire/messages.js';

/** Above anything that a machine has, and far from where sums lose their precision. */
const figureMax = 1e15;

/** Checks the answer to `ping`: whatever runs in an instance may answer anything, and its figures go into the node's own. @throws CallError */
export function statisticsOf(answer: unknown): InstanceStatistics {
  const { cpuSeconds, rssBytes, eventLoopDelaySeconds } = (answer ?? {}) as Partial<Record<string, unknown>>;
  if (!isFigure(rssBytes) || !Number.isSafeInteger(rssBytes)) throw new CallError('"rssBytes" is no number of bytes.');
  if (!isFigure(cpuSeconds)) throw new CallError('"cpuSeconds" is no number of seconds.');
  if (!isFigure(eventLoopDelaySeconds)) throw new CallError('"eventLoopDelaySeconds" is no number of seconds.');
  return { cpuSeconds, rssBytes, eventLoopDelaySeconds };
}

/** Checks the answer to `load`. @throws LoadError of kind `load` */
export function loadResultOf(answer: unknown): LoadResult {
  const { functions } = (answer ?? {}) as Partial<Record<string, unknown>>;
  if (!Array.isArray(functions) || !functions.every((name) => typeof name === 'string'))
    throw new LoadError('load', 'What loading it answered is no list of the functions that the module has.');
  return { functions };
}

function isFigure(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= figureMax;
}
