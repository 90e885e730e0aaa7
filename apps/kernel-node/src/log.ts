import { type Logger, pino } from 'pino';
import type { Settings } from './settings.js';

export type { Logger };

/** The node's log: one JSON object per line on standard output. */
export function createLog(settings: Settings): Logger {
  return pino({
    level: settings.logLevel,
    base: { service: 'kernel-node', environment: settings.environment },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
