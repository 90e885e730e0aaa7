import type { FastifyRequest } from 'fastify';
import { isLoopback, type ApiSettings } from '../api-settings.js';
import { pathOf } from '../problem/problem.filter.js';
import { Problem } from '../problem/problem.js';
import { bearerOf, isSameSecret } from './bearer.js';

const writes = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * Before anything is read of a request: refuses writes that a web page of another origin may have caused (they need no preflight, so that
 * not even a token on loopback would be asked for), then calls without the token where one is set. Throws a Problem.
 */
export function checkAccess(request: FastifyRequest, settings: ApiSettings): void {
  const path = pathOf(request.url);
  if (writes.has(request.method)) checkOrigin(request, path, settings);
  if (settings.apiToken !== null && !isOpen(path)) checkToken(request, settings.apiToken);
}

function checkToken(request: FastifyRequest, token: string): void {
  const given = bearerOf(request);
  if (given !== null && isSameSecret(given, token)) return;
  const detail =
    given === null ? 'Send Authorization: Bearer <HOTSWAP_API_TOKEN>' : 'The bearer token is not the one of this API';
  throw new Problem('unauthenticated', detail, { headers: { 'www-authenticate': 'Bearer realm="hotswap"' } });
}

// Nodes have secrets of their own (node-protocol).
function isOpen(path: string): boolean {
  return /^\/(health(\/.*)?|openapi\.json|swagger-ui\/.*|internal\/.*)?$/.test(path);
}

function checkOrigin(request: FastifyRequest, path: string, settings: ApiSettings): void {
  const host = hostOf(`http://${request.headers.host ?? ''}`);
  const { origin } = request.headers;
  if (origin !== undefined && (host === null || hostOf(origin)?.host !== host.host))
    throw new Problem('foreign-origin', 'The Origin of this write is not the host it was sent to');
  if (!needsLocalHost(path, settings)) return;
  if (host && (isLoopback(host.hostname) || host.hostname === settings.host.toLowerCase())) return;
  const detail = 'The Host of this write does not name this machine; send it to localhost, 127.0.0.1 or [::1]';
  throw new Problem('foreign-origin', detail);
}

// On loopback, and wherever no token is asked for, a page may have rebound its name to this address. Nodes on a network of their own name
// the control plane as they like where they have to bring a token that no page knows.
function needsLocalHost(path: string, settings: ApiSettings): boolean {
  if (isLoopback(settings.host)) return true;
  return (path.startsWith('/internal/') ? settings.joinToken : settings.apiToken) === null;
}

function hostOf(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null;
}
