import { request } from 'node:http';
import type { ProblemDocument } from '../src/problem/problem.js';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Of an answer that is one; else empty. */
  problem: Partial<ProblemDocument>;
}

/** One request; a body that is no text is sent as JSON. */
export async function callApi(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
  });
  const text = await response.text();
  const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json') ?? false;
  const problem = isProblem ? (JSON.parse(text) as ProblemDocument) : {};
  return { status: response.status, headers: response.headers, text, problem };
}

/** `POST` of an empty object with headers that fetch would not let through, such as Host. */
export function writeAs(
  url: string,
  headers: Record<string, string>,
  path = '/api/v1/deployments',
): Promise<{ status?: number; code?: string }> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
    const call = request(url + path, options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode, code: (JSON.parse(text) as ProblemDocument).code }),
      );
    });
    call.on('error', reject);
    call.end('{}');
  });
}
