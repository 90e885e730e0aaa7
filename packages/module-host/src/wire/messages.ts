import type { ModuleEnv } from '@hotswap/module-kit';
import type { Frame } from './frame.js';

/** What the kernel asks of an instance outside of requests, by name. The kernel makes one at a time, but for `ping`. */
export type InstanceCall =
  | { call: 'load'; entryUrl: string; env: ModuleEnv }
  | { call: 'start' }
  | { call: 'health' }
  | { call: 'activate' }
  | { call: 'deactivate' }
  /** Answered when every promise given to `ctx.waitUntil` has settled. */
  | { call: 'settle' }
  /** Answered with the state's bytes, not with JSON. */
  | { call: 'snapshot' }
  | { call: 'stop' }
  | { call: 'ping' };

export interface LoadResult {
  /** Names of the optional functions that the module has. */
  functions: string[];
}

/** Answer to `ping`. */
export interface InstanceStatistics {
  /** CPU time since the process' start. */
  cpuSeconds: number;
  rssBytes: number;
  /** Longest delay of the event loop since the ping before. */
  eventLoopDelaySeconds: number;
}

export interface Failure {
  message: string;
}

export function parseJson(body: Frame['body']): unknown {
  return JSON.parse(String(body));
}
