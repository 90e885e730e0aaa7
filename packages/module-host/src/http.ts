import type { Readable } from 'node:stream';
import type { ResponseHead } from './wire/messages.js';

/** Whether whoever asked is still there. An AbortSignal is one; a request's own needs no more than this. */
export interface ClientSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A request as the router hands it over. */
export interface HostRequest {
  method: string;
  /** Absolute; the path is what follows the route. */
  url: string;
  headers: [string, string][];
  /** Read by the host at the module's pace, to its end even where the module wants no more of it; never destroyed: whoever owns the connection ends it. */
  body: Readable | null;
  /** Aborted when the client has gone; `handle` then rejects with its reason. */
  signal: ClientSignal;
}

/** A module's answer. Whoever does not read a streamed `body` to its end calls `return()` on its iterator, or aborts the request's signal. */
export interface HostResponse {
  status: number;
  headers: [string, string][];
  /** All of it at once where the answer came whole. A stream throws midway when the module fails; the connection must then be broken off, so that the client learns of it. */
  body: Uint8Array | AsyncIterable<Uint8Array> | null;
  /** `name@version` of the release that answered. */
  release: string;
}

/** Methods that a Web-standard Request can't have. */
export const refusedMethods: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK']);

/** Concern one connection only: the kernel's own HTTP server decides about them, not the module. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

export interface AcceptedHead {
  status: number;
  headers: [string, string][];
  hasBody: boolean;
  /** As announced by the module. */
  contentLength: number | null;
}

/** Checks what an instance sent as the head of an answer; an instance may send anything. Null: not acceptable. */
export function acceptResponseHead({ status, headers, hasBody }: ResponseHead): AcceptedHead | null {
  if (!Number.isInteger(status) || status < 200 || status > 599) return null;
  const kept: [string, string][] = [];
  let contentLength: number | null = null;
  for (const header of headers) {
    const [name, value] = header;
    if (!tokenPattern.test(name) || !valuePattern.test(value)) return null;
    const lower = name.toLowerCase();
    if (hopByHop.has(lower)) continue;
    if (lower === 'content-length') {
      if (!/^\d{1,15}$/.test(value) || contentLength !== null) return null;
      contentLength = Number(value);
    }
    kept.push(header);
  }
  return { status, headers: kept, hasBody, contentLength };
}

/** The `content-length` of a request; null where there is none. */
export function contentLengthOf(headers: [string, string][]): number | null {
  const header = headers.find(([name]) => name.toLowerCase() === 'content-length');
  return header === undefined ? null : Number(header[1]);
}
