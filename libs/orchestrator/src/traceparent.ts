import { randomBytes } from 'node:crypto';
import { trace } from '@opentelemetry/api';

/** W3C traceparent of the span in hand; where nothing is traced, a new unsampled one, so that every deployment has a trace id. */
export function currentTraceparent(): string {
  const context = trace.getActiveSpan()?.spanContext();
  if (context && trace.isSpanContextValid(context)) {
    return `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`;
  }
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`;
}
