import { randomBytes } from 'node:crypto';
import { context, ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';

/** W3C traceparent of the span in hand; where nothing is traced, a new unsampled one, so that every deployment has a trace id. */
export function currentTraceparent(): string {
  const span = trace.getActiveSpan()?.spanContext();
  if (span && trace.isSpanContextValid(span)) {
    return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
  }
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`;
}

/**
 * Does `work` with that trace in hand, so that its log lines carry the trace id. Unsampled: looks come all the time, and what they come to is
 * traced where it is committed.
 */
export function inTraceOf<T>(traceparent: string | null, work: () => T): T {
  const [, traceId = '', spanId = ''] = traceparent?.split('-') ?? [];
  const spanContext = { traceId, spanId, traceFlags: TraceFlags.NONE, isRemote: true };
  if (!trace.isSpanContextValid(spanContext)) return work();
  return context.with(trace.setSpanContext(ROOT_CONTEXT, spanContext), work);
}
