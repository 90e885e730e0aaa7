import type { NodeSDK } from '@opentelemetry/sdk-node';
import { createRequire } from 'node:module';
import { chosenSpanIds } from './tracing/chosen-span-ids.js';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Loaded before everything else, so that HTTP and Postgres clients are instrumented when they are first used. Does nothing unless
 * OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) is set; the SDK and the exporter read that and the other OTEL_ variables. Spans are sent in
 * the background from a bounded queue: a collector that is away costs spans, nothing else.
 */

const shutdownMilliseconds = 1_000;
/** Calls that come all the time and belong to no deployment. */
const quietPaths = /^\/(health|metrics|internal\/v1\/(nodes|artifacts))(\/|\?|$)/;

const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = process.env;
const sdk = OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ? await startSdk() : null;

/** Sends what is left, for at most 1 s. Never throws. */
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
  // The other detectors would tell the command line and who runs it.
  process.env['OTEL_NODE_RESOURCE_DETECTORS'] ??= 'env,serviceinstance';
  const started = new NodeSDK({
    serviceName: process.env['OTEL_SERVICE_NAME'] ?? 'orchestrator-api',
    traceExporter: new OTLPTraceExporter(),
    idGenerator: chosenSpanIds,
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
