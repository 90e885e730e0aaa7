import { Readable } from 'node:stream';
import type { SmokeCheck } from '@hotswap/module-kit';
import { LoadError, messageOf } from './errors.js';
import { readBody, type HostRequest, type HostResponse } from './http.js';

const answerBytesMax = 1024 * 1024;

type Send = (request: HostRequest) => Promise<HostResponse>;

/** Asks the instance what its manifest says it must be able to answer. @throws LoadError of kind `smoke` at the first that is not as expected. */
export async function smokeTest(send: Send, smoke: SmokeCheck[], timeoutSeconds: number): Promise<void> {
  for (const { request, expect } of smoke) {
    const what = `${request.method} ${request.path}`;
    const answer = await probe(send, request, timeoutSeconds).catch((error: unknown) => {
      throw new LoadError('smoke', `Smoke request ${what}: ${messageOf(error)}`);
    });
    if (answer.status !== expect.status)
      throw new LoadError('smoke', `Smoke request ${what} was answered ${answer.status}, not ${expect.status}.`);
    if (expect.json === undefined) continue;
    const path = mismatch(parse(answer.text), expect.json, '');
    if (path !== null)
      throw new LoadError(
        'smoke',
        `Smoke request ${what}: the answer's JSON differs from what is expected at "${path}".`,
      );
  }
}

/** Asks for the health path. @throws LoadError of kind `health` unless the answer is 2xx. */
export async function checkHealthPath(send: Send, path: string, timeoutSeconds: number): Promise<void> {
  const answer = await probe(send, { method: 'GET', path, headers: {} }, timeoutSeconds).catch((error: unknown) => {
    throw new LoadError('health', `Health request GET ${path}: ${messageOf(error)}`);
  });
  if (answer.status < 200 || answer.status > 299)
    throw new LoadError('health', `Health request GET ${path} was answered ${answer.status}, not 2xx.`);
}

/** Where the JSON `actual` lacks something of `expected`, as a JSON pointer; null: it has all. Objects may have more members, arrays not. */
export function mismatch(actual: unknown, expected: unknown, path: string): string | null {
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return path;
    return firstOf(expected.map((item, index) => mismatch(actual[index], item, `${path}/${index}`)));
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) return path;
    return firstOf(
      Object.entries(expected).map(([key, value]) =>
        mismatch((actual as Record<string, unknown>)[key], value, `${path}/${key}`),
      ),
    );
  }
  return actual === expected ? null : path;
}

function firstOf(paths: (string | null)[]): string | null {
  return paths.find((path) => path !== null) ?? null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function probe(
  send: Send,
  request: SmokeCheck['request'],
  timeoutSeconds: number,
): Promise<{ status: number; text: string }> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`no complete answer within ${timeoutSeconds} s.`)),
    timeoutSeconds * 1000,
  );
  try {
    const text = JSON.stringify(request.json) as string | undefined;
    const headers = Object.entries(request.headers).flatMap(([name, value]) => [name.toLowerCase(), value]);
    if (text !== undefined) headers.push('content-type', 'application/json');
    const response = await send({
      method: request.method,
      url: new URL(request.path, 'http://localhost').href,
      headers,
      body: text === undefined ? null : Readable.from([Buffer.from(text)]),
      signal: controller.signal,
    });
    return { status: response.status, text: (await readBody(response, answerBytesMax)).toString('utf8') };
  } finally {
    clearTimeout(timer);
  }
}
