import { LogDestination } from '@hotswap/module-kit/log-destination';
import { trace } from '@opentelemetry/api';
import { type Logger, pino } from 'pino';
import type { Settings } from './settings.js';

export type { Logger };

/** The node's log: one JSON object per line on standard output, with the trace id of the deployment that it is written for. */
export function createLog(settings: Settings): Logger {
  return pino(
    {
      level: settings.logLevel,
      base: { service: 'kernel-node', environment: settings.environment },
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: () => {
        const traceId = trace.getActiveSpan()?.spanContext().traceId;
        return traceId === undefined ? {} : { traceId };
      },
      formatters: { level: (label) => ({ level: label }) },
    },
    new LogDestination(1),
  );
}
