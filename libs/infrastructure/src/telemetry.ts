import type { NodeSDK } from '@opentelemetry/sdk-node';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Loaded before everything else (`node --import @hotswap/infrastructure/telemetry …`), so that HTTP and Postgres clients are instrumented when they are
 * first used. Does nothing unless OTEL_EXPORTER_OTLP_ENDPOINT is set; the exporter reads that and the other OTEL_ variables. Spans are sent in the
 * background from a bounded queue: a collector that is away costs spans, nothing else.
 */

const shutdownMilliseconds = 3_000;
/** Calls that come all the time and belong to no deployment. */
const quietPaths = /^\/(health|metrics|internal\/v1\/nodes\/[^/]+\/(reports|document))(\/|\?|$)/;

const sdk = process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] ? await startSdk() : null;

/** Sends what is left, for at most 3 s. Never throws. */
export async function shutdownTelemetry(): Promise<void> {
  if (!sdk) return;
  const timeout = new AbortController();
  const ended = sdk.shutdown().catch(() => undefined);
  const tooLate = delay(shutdownMilliseconds, undefined, { signal: timeout.signal }).catch(() => undefined);
  await Promise.race([ended, tooLate]);
  timeout.abort();
}

async function startSdk(): Promise<NodeSDK> {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
  const { PgInstrumentation } = await import('@opentelemetry/instrumentation-pg');
  const started = new NodeSDK({
    serviceName: process.env['OTEL_SERVICE_NAME'] ?? 'orchestrator-api',
    autoDetectResources: false,
    traceExporter: new OTLPTraceExporter(),
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [
      new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url }) => quietPaths.test(url ?? '') }),
      // Only within a request's trace: the loop's periodic reads would drown everything else.
      new PgInstrumentation({ requireParentSpan: true }),
    ],
  });
  started.start();
  // Servers are instrumented when http is first required; an import would not do it.
  createRequire(import.meta.url)('node:http');
  return started;
}
