import type { FastifyInstance } from 'fastify';
import { Problem } from '../problem/problem.js';

/** The routes of the server, to tell an unknown address (404) from a known one with another method (405). */
export class KnownRoutes {
  private readonly routes: { segments: string[]; methods: string[] }[] = [];

  /** Notes every route that is added from now on. */
  watch(server: FastifyInstance): void {
    server.addHook('onRoute', ({ url, method }) => {
      if (!url.includes('*')) this.routes.push({ segments: url.split('/'), methods: [method].flat() });
    });
  }

  /** Why no route took the request. */
  problemFor(method: string, path: string): Problem {
    const segments = path.split('/');
    const methods = this.routes.filter((route) => isMatch(route.segments, segments)).flatMap((route) => route.methods);
    if (methods.length === 0) return new Problem('not-found', `There is nothing at ${path}`);
    const allow = [...new Set(methods)].sort().join(', ');
    return new Problem('method-not-allowed', `${method} is not allowed at ${path}; allowed: ${allow}`, {
      headers: { allow },
    });
  }
}

function isMatch(pattern: string[], segments: string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]))
  );
}
