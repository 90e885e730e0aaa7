import type { ServerResponse } from 'node:http';

/** Every problem that the node itself answers with, on its own port. */
export const problems = {
  'malformed-request': { status: 400, title: 'The request is not valid HTTP' },
  'no-such-route': { status: 404, title: 'No module is mounted here' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'request-timeout': { status: 408, title: 'The request did not arrive in time' },
  'too-large': { status: 413, title: "The body is larger than the module's limit" },
  'headers-too-large': { status: 431, title: 'The request line and headers are too large' },
  'upgrade-not-supported': { status: 501, title: 'Upgrades are not supported' },
  'module-failed': { status: 502, title: 'The module gave no answer' },
  'module-not-ready': { status: 503, title: 'The module is not ready' },
  overloaded: { status: 503, title: 'The module has too many requests in flight' },
  'node-not-ready': { status: 503, title: 'The node is not ready for traffic' },
  'deadline-exceeded': { status: 504, title: 'The module did not answer in time' },
} as const;

export type ProblemCode = keyof typeof problems;

const retryAfterSeconds = 1;

export interface RenderedProblem {
  status: number;
  headers: [string, string][];
  body: string;
}

/** Problem details (RFC 9457) of `code`; a 503 says when to come back. `members` are added to the document. */
export function renderProblem(
  code: ProblemCode,
  detail: string,
  instance: string,
  members: Record<string, unknown> = {},
): RenderedProblem {
  const { status, title } = problems[code];
  const body = JSON.stringify({
    type: `urn:hotswap:problem:${code}`,
    title,
    status,
    detail,
    instance,
    code,
    ...members,
  });
  const headers: [string, string][] = [
    ['content-type', 'application/problem+json'],
    ['content-length', String(Buffer.byteLength(body))],
    ['cache-control', 'no-store'],
  ];
  if (status === 503) headers.push(['retry-after', String(retryAfterSeconds)]);
  return { status, headers, body };
}

/** The problem as a whole HTTP/1.1 message, for a socket that has no request to answer; the connection ends with it. */
export function problemMessage(code: ProblemCode, detail: string, instance: string): string {
  const { status, headers, body } = renderProblem(code, detail, instance);
  const lines = [...headers, ['connection', 'close'] as const].map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${problems[code].title}`, ...lines, '', body].join('\r\n');
}

export function sendProblem(response: ServerResponse, { status, headers, body }: RenderedProblem): void {
  response.writeHead(status, headers.flat());
  response.end(body);
}
