export type { Enclose } from './enclose.js';
export type { Enclosure } from './enclosure.js';
export { HostError, LoadError, type HostErrorCode } from './errors.js';
export type { ClientSignal, HostRequest, HostResponse } from './http.js';
export { ModuleHost, type ModuleHostOptions } from './module-host.js';
export type { ModuleLogEntry } from './module-log.js';
export type { Phase, PhaseName } from './phase.js';
export type { LoadableRelease } from './release.js';
export type { HostTiming } from './timing.js';
