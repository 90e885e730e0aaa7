export { HostError, LoadError, type HostErrorCode } from './errors.js';
export { readBody, replyOf, type ClientSignal, type HostRequest, type HostResponse, type Reply } from './http.js';
export { ModuleHost, type ModuleHostOptions } from './module-host.js';
export type { ModuleLogEntry } from './module-log.js';
export type { Phase, PhaseName } from './phase.js';
export type { LoadableRelease } from './release.js';
export type { HostTiming } from './timing.js';
