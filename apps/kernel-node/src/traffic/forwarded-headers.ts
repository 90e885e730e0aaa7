import type { IncomingMessage } from 'node:http';

// RFC 9110 7.6.1, with what the node says itself and a client must not.
const ownToConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'x-hotswap-module',
  'x-hotswap-probe',
]);

/**
 * The headers that a module sees, names and values in turn: without those of the connection, and with where the request came from: the peer is appended to
 * `x-forwarded-for`; `x-forwarded-proto` and `x-forwarded-host` of a balancer before the node stay.
 */
export function forwardedHeaders(request: IncomingMessage): string[] {
  const { rawHeaders, headers, socket } = request;
  const { connection } = headers;
  const isPlain = connection === undefined || connection === 'keep-alive' || connection === 'close';
  const named = isPlain ? null : namedByConnection(connection);
  const forwarded: string[] = [];
  let forwardedFor = '';
  let isProtoKnown = false;
  let isHostKnown = false;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    if (ownToConnection.has(name) || named?.has(name)) continue;
    if (name === 'x-forwarded-for') {
      forwardedFor += forwardedFor ? `, ${value}` : value;
      continue;
    }
    isProtoKnown ||= name === 'x-forwarded-proto';
    isHostKnown ||= name === 'x-forwarded-host';
    forwarded.push(name, value);
  }
  const peer = socket.remoteAddress ?? 'unknown';
  forwarded.push('x-forwarded-for', forwardedFor ? `${forwardedFor}, ${peer}` : peer);
  if (!isProtoKnown) forwarded.push('x-forwarded-proto', 'http');
  if (!isHostKnown && headers.host) forwarded.push('x-forwarded-host', headers.host);
  return forwarded;
}

// A connection header must not take the body's length or the host from the module.
function namedByConnection(value: string): Set<string> {
  const names = value
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  return new Set(names.filter((name) => name !== 'content-length' && name !== 'host'));
}
