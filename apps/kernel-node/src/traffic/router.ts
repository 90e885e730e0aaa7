import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ModuleHost } from '@hotswap/module-host';
import { Connection } from './connection.js';
import { Visit, type VisitOptions } from './visit.js';

const plainHost = /^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/;

export interface RouterOptions extends VisitOptions {
  host: Pick<ModuleHost, 'handle'>;
}

/** Gives `/{route}/…` to the module mounted there, and its answer, as it comes, to the client. */
export class Router {
  private inFlightCount = 0;
  private whenIdle: (() => void) | null = null;
  private readonly onEnd = () => {
    if (--this.inFlightCount === 0) this.whenIdle?.();
  };

  constructor(private readonly options: RouterOptions) {}

  /** Requests being answered now. */
  get inFlight(): number {
    return this.inFlightCount;
  }

  /** Resolves when no request is being answered. */
  async idle(): Promise<void> {
    if (this.inFlightCount > 0) await new Promise<void>((resolve) => (this.whenIdle = resolve));
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.inFlightCount++;
    const visit = new Visit(request, response, this.options, this.onEnd);
    const { route, path } = splitTarget(request.url ?? '/');
    const host = request.headers.host ?? '';
    const { headers, encodedHeaders } = Connection.of(request.socket).headersOf(request);
    this.options.host.handle(
      route,
      {
        method: request.method ?? 'GET',
        url: `http://${plainHost.test(host) ? host : 'localhost'}${path}`,
        headers,
        encodedHeaders,
        body: visit.body,
        signal: visit,
      },
      visit,
    );
  }
}

/** The route is the first segment; what follows, with the query, is the module's path. */
export function splitTarget(target: string): { route: string; path: string } {
  // Absolute form, as sent to proxies.
  const start = target.startsWith('/') ? 0 : pathStart(target);
  const end = target.slice(start + 1).search(/[/?#]/);
  if (end < 0) return { route: target.slice(start + 1), path: '/' };
  const rest = target.slice(start + 1 + end);
  return { route: target.slice(start + 1, start + 1 + end), path: rest.startsWith('/') ? rest : `/${rest}` };
}

function pathStart(target: string): number {
  const authority = target.indexOf('://');
  if (authority < 0) return target.length;
  const slash = target.indexOf('/', authority + 3);
  return slash < 0 ? target.length : slash;
}
