import type { ReleaseSpec } from '@hotswap/agent-protocol';
import { type Attributes, type Context, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Settings } from './settings.js';

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Tells what the node does for a deployment as spans of its trace; costs next to nothing where no exporter is set up. */
export class Tracing {
  private constructor(
    private readonly attributes: Attributes,
    private readonly shutdown: () => Promise<void>,
  ) {}

  /** Exports spans by OTLP where the settings name an endpoint. */
  static async start(settings: Settings, nodeId: string): Promise<Tracing> {
    const attributes = { 'hotswap.node': nodeId, 'hotswap.environment': settings.environment };
    if (!settings.traceEndpoint) return new Tracing(attributes, async () => undefined);
    const { NodeSDK } = await import('@opentelemetry/sdk-node');
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    // The exporter reads its endpoint, headers and time-outs from the OTEL_EXPORTER_OTLP_ variables.
    const sdk = new NodeSDK({
      serviceName: 'kernel-node',
      autoDetectResources: false,
      traceExporter: new OTLPTraceExporter(),
      metricReaders: [],
      logRecordProcessors: [],
      instrumentations: [],
    });
    sdk.start();
    return new Tracing(attributes, () => sdk.shutdown());
  }

  /** Runs `work` as a span below `traceparent` (W3C), that of the deployment it is done for. */
  async run<T>(name: string, spec: ReleaseSpec, traceparent: string | null, work: () => Promise<T>): Promise<T> {
    const attributes = {
      ...this.attributes,
      'hotswap.module': spec.module,
      'hotswap.version': spec.version,
      'hotswap.release': spec.digest,
    };
    const span = trace.getTracer('@hotswap/kernel-node').startSpan(name, { attributes }, contextOf(traceparent));
    try {
      return await work();
    } catch (error) {
      span.recordException(error as Error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
      throw error;
    } finally {
      span.end();
    }
  }

  /** Sends what is left. */
  close(): Promise<void> {
    return this.shutdown();
  }
}

function contextOf(traceparent: string | null): Context {
  const match = traceparentPattern.exec(traceparent ?? '');
  if (!match) return ROOT_CONTEXT;
  const [, traceId = '', spanId = '', flags = '00'] = match;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}
