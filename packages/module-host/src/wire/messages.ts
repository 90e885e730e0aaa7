import type { ModuleEnv } from '@hotswap/module-kit';

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

export interface RequestHead {
  method: string;
  url: string;
  headers: [string, string][];
  /** Whether `body` and `end` frames follow. */
  hasBody: boolean;
}

/** Of an answer; of an `answer` frame `hasBody` says whether there is a body at all. */
export interface ResponseHead {
  status: number;
  headers: [string, string][];
  /** Whether `body` and `end` frames follow. */
  hasBody: boolean;
}

export function parseJson(payload: Buffer): unknown {
  return JSON.parse(payload.toString('utf8'));
}
