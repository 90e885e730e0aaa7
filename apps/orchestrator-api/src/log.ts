import type { LoggerService } from '@nestjs/common';
import { LogDestination } from '@hotswap/module-kit/log-destination';
import { currentLogFields } from '@hotswap/orchestrator';
import { trace } from '@opentelemetry/api';
import { pino, type Level, type Logger } from 'pino';

/** Structured lines on stdout: a JSON object each, with the deployment and the trace that it is about, where known. */
export function createLog(level: string): Logger {
  return pino(
    {
      level,
      base: { process: 'orchestrator-api' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => {
        const traceId = trace.getActiveSpan()?.spanContext().traceId;
        return { ...(traceId !== undefined && { traceId }), ...currentLogFields() };
      },
    },
    new LogDestination(1),
  );
}

/** Nest's log calls, `(message, ...rest, context)`, as lines of `log`. */
export class NestLog implements LoggerService {
  constructor(private readonly target: Logger) {}

  log = (message: unknown, ...rest: unknown[]) => this.write('info', message, rest);
  error = (message: unknown, ...rest: unknown[]) => this.write('error', message, rest);
  warn = (message: unknown, ...rest: unknown[]) => this.write('warn', message, rest);
  debug = (message: unknown, ...rest: unknown[]) => this.write('debug', message, rest);
  verbose = (message: unknown, ...rest: unknown[]) => this.write('trace', message, rest);
  fatal = (message: unknown, ...rest: unknown[]) => this.write('fatal', message, rest);

  private write(level: Level, message: unknown, rest: unknown[]): void {
    const context = rest.at(-1);
    const stack = rest.slice(0, -1).find((part) => typeof part === 'string');
    const fields = { ...(typeof context === 'string' && { context }), ...(stack !== undefined && { stack }) };
    if (message instanceof Error) this.target[level]({ ...fields, stack: message.stack }, message.message);
    else if (typeof message === 'object' && message !== null)
      this.writeObject(level, { ...fields, ...(message as { message?: unknown }) });
    else this.target[level](fields, String(message));
  }

  private writeObject(level: Level, { message, ...fields }: { message?: unknown }): void {
    this.target[level](fields, typeof message === 'string' ? message : undefined);
  }
}
