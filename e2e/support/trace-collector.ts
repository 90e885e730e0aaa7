import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** A span as OTLP/HTTP gives it in JSON, with its attributes as an object. */
export interface CollectedSpan {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  /** Milliseconds since 1970. */
  startedAt: number;
  endedAt: number;
  failed: boolean;
  attributes: Record<string, AttributeValue>;
}

/** Texts and whole numbers as they are, everything else as its JSON. */
type AttributeValue = string | number;

interface OtlpAttribute {
  key: string;
  value: { stringValue?: string; intValue?: string | number };
}
interface OtlpSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status: { code?: number };
  attributes: OtlpAttribute[];
}
interface OtlpRequest {
  resourceSpans: { resource: { attributes: OtlpAttribute[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
}

/** Takes traces by OTLP/HTTP in JSON, as a collector does, and keeps them. */
export class TraceCollector {
  readonly spans: CollectedSpan[] = [];
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => {
      json(request).then(
        (body) => {
          this.keep(body as OtlpRequest);
          response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
        },
        () => response.writeHead(400).end(),
      );
    });
  }

  static async start(): Promise<TraceCollector> {
    const collector = new TraceCollector();
    collector.server.listen(0, '127.0.0.1');
    await once(collector.server, 'listening');
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  of(traceId: string): CollectedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private keep({ resourceSpans }: OtlpRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(toObject(resource.attributes)['service.name']);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) this.spans.push(toSpan(service, span));
    }
  }
}

/** The trace as text, one line per span below its parent, in the order of their starts. */
export function printTrace(spans: readonly CollectedSpan[]): string {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const inOrder = spans.toSorted((one, other) => one.startedAt - other.startedAt);
  const begin = Math.min(...spans.map(({ startedAt }) => startedAt));
  const below = (parent: string | null, depth: number): string[] =>
    inOrder
      .filter(({ parentSpanId }) => (parentSpanId && known.has(parentSpanId) ? parentSpanId : null) === parent)
      .flatMap((span) => [lineOf(span, depth, begin), ...below(span.spanId, depth + 1)]);
  return below(null, 0).join('\n');
}

function lineOf(
  { name, service, startedAt, endedAt, failed, attributes }: CollectedSpan,
  depth: number,
  begin: number,
) {
  const at = ((startedAt - begin) / 1000).toFixed(3).padStart(8);
  const text = (key: string) => String(attributes[`hotswap.${key}`]);
  const isNodes = attributes['hotswap.node'] !== undefined;
  const where = isNodes ? ` ${text('version')} @ ${text('environment')} ${text('node').slice(0, 8)}` : '';
  const because = attributes['hotswap.reason.code'] === undefined ? '' : ` (${text('reason.code')})`;
  const milliseconds = Math.round(endedAt - startedAt);
  return `${at} s ${'  '.repeat(depth)}${name}${where}${because} ${milliseconds} ms${failed ? ' FAILED' : ''} [${service}]`;
}

function toSpan(service: string, span: OtlpSpan): CollectedSpan {
  return {
    service,
    name: span.name,
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || null,
    startedAt: Number(span.startTimeUnixNano) / 1e6,
    endedAt: Number(span.endTimeUnixNano) / 1e6,
    failed: span.status.code === 2,
    attributes: toObject(span.attributes),
  };
}

function toObject(attributes: readonly OtlpAttribute[]): Record<string, AttributeValue> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? JSON.stringify(value)]),
  );
}
