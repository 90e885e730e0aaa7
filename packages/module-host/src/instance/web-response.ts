import type { ResponseHead } from '../wire/messages.js';

/** @throws TypeError for anything but a Response whose body is still to be read. */
export function assertResponse(response: unknown): asserts response is Response {
  if (!(response instanceof Response)) throw new TypeError('"fetch" did not return a Response.');
  if (response.bodyUsed) throw new TypeError('"fetch" returned a Response whose body is already used.');
  if (response.type === 'error') throw new TypeError('"fetch" returned Response.error().');
}

/** The head of an answer; every `set-cookie` is a header of its own. */
export function responseHead(response: Response, method: string): ResponseHead {
  const hasBody = response.body !== null && method !== 'HEAD';
  return { status: response.status, headers: [...response.headers], hasBody };
}
