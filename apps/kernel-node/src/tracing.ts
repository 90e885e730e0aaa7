import type { ReleaseSpec } from '@hotswap/agent-protocol';
import type { Phase, PhaseFigures } from '@hotswap/module-host';
import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
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
    // The other detectors would tell the command line and who runs it.
    process.env['OTEL_NODE_RESOURCE_DETECTORS'] ??= 'env,serviceinstance';
    const sdk = new NodeSDK({
      serviceName: process.env['OTEL_SERVICE_NAME'] ?? 'kernel-node',
      traceExporter: new OTLPTraceExporter(),
      metricReaders: [],
      logRecordProcessors: [],
      instrumentations: [],
    });
    sdk.start();
    return new Tracing(attributes, () => sdk.shutdown());
  }

  /** Runs `work` as a span below `traceparent` (W3C), that of the deployment it is done for; where it is done for none, as no span. */
  async run<T>(name: string, spec: ReleaseSpec, traceparent: string | null, work: () => Promise<T>): Promise<T> {
    const parent = contextOf(traceparent);
    if (parent === null) return work();
    const span = this.begin(name, spec, parent);
    try {
      return await context.with(trace.setSpan(parent, span), work);
    } catch (error) {
      markFailed(span, (error as Error).message);
      throw error;
    } finally {
      span.end();
    }
  }

  /** Tells what the host has done, at its own times. */
  record({ phase, spec, traceparent, startedAt, endedAt, figures, error }: Phase): void {
    const parent = contextOf(traceparent);
    if (parent === null) return;
    const span = this.begin(phase, spec, parent, startedAt);
    span.setAttributes(figureAttributes(figures));
    if (error !== null) markFailed(span, error, endedAt);
    span.end(endedAt);
  }

  /** Sends what is left. */
  close(): Promise<void> {
    return this.shutdown();
  }

  private begin(name: string, spec: ReleaseSpec, parent: Context, startTime?: number): Span {
    const attributes = {
      ...this.attributes,
      'hotswap.module': spec.module,
      'hotswap.version': spec.version,
      'hotswap.release': spec.digest,
    };
    return trace.getTracer('@hotswap/kernel-node').startSpan(name, { attributes, startTime }, parent);
  }
}

function figureAttributes({
  isSpare,
  held,
  stateBytes,
  drained,
  cut,
  cpuSeconds,
  rssBytesMax,
}: PhaseFigures): Attributes {
  return {
    'hotswap.spare': isSpare,
    'hotswap.requests.held': held,
    'hotswap.state.bytes': stateBytes,
    'hotswap.requests.drained': drained,
    'hotswap.requests.cut': cut,
    'hotswap.instance.cpu_seconds': cpuSeconds,
    'hotswap.instance.rss_bytes_max': rssBytesMax,
  };
}

function markFailed(span: Span, message: string, at?: number): void {
  span.recordException({ name: 'Error', message }, at);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

export function traceIdOf(traceparent: string | null): string | null {
  return traceparentPattern.exec(traceparent ?? '')?.[1] ?? null;
}

function contextOf(traceparent: string | null): Context | null {
  const match = traceparentPattern.exec(traceparent ?? '');
  if (!match) return null;
  const [, traceId = '', spanId = '', flags = '00'] = match;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}
