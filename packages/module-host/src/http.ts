import type { Readable } from 'node:stream';

/** Whether whoever asked is still there. An AbortSignal is one; a request's own needs no more than this. */
export interface ClientSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: { handleEvent(): void }): void;
  removeEventListener(type: 'abort', listener: { handleEvent(): void }): void;
}

/** A request as the router hands it over. */
export interface HostRequest {
  method: string;
  /** Absolute; the path is what follows the route. */
  url: string;
  /** Names, in lower case, and values in turn; as HTTP has them, without line breaks. */
  headers: string[];
  /** The same as `encodeHeaders` has them, where they are those of a request before. */
  encodedHeaders?: string | undefined;
  /** Read by the host at the module's pace, to its end even where the module wants no more of it; never destroyed: whoever owns the connection ends it. */
  body: Readable | null;
  /** Aborted when the client has gone; the reply is then its reason. */
  signal: ClientSignal;
}

/** A module's answer. Whoever does not read a streamed `body` to its end calls `return()` on its iterator, or aborts the request's signal. */
export interface HostResponse {
  status: number;
  /** Names, in lower case, and values in turn. May be those of other answers too: not to be changed. */
  headers: readonly string[];
  /**
   * All of it at once where the answer came whole; a string is bytes as Latin-1 text. A stream throws midway when the module fails; the connection must
   * then be broken off, so that the client learns of it.
   */
  body: string | Uint8Array | AsyncIterable<Uint8Array> | null;
  /** `name@version` of the release that answered. */
  release: string;
}

/** Is told what becomes of a request: one of the two, once. A promise for each request would be a noticeable part of what the request costs. */
export interface Reply {
  respond(response: HostResponse): void;
  /** @param error a HostError; or the request signal's reason, when the client left. */
  fail(error: unknown): void;
}

/** The reply as a promise, for those who ask seldom. */
export function replyOf(ask: (reply: Reply) => void): Promise<HostResponse> {
  return new Promise((respond, fail) => ask({ respond, fail }));
}

/** @throws Error when it is longer; or when the module fails midway. */
export async function readBody({ body }: Pick<HostResponse, 'body'>, bytesMax = Infinity): Promise<Buffer> {
  const whole = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of whole instanceof Uint8Array ? [whole] : (whole ?? [])) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
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

/** A status, then lines of a header's name and value in turn. */
const headPattern = /^[2-5]\d\d(?:\n[!#$%&'*+\-.^_`|~0-9a-z]+\n[\t\x20-\x7e\x80-\xff]*)*$/;
/** In characters. Far more than browsers and balancers take; a head has no credit to keep it small. */
const headLengthMax = 64 * 1024;
/** Whether there may be a header that needs looking at; few answers have one. */
const specialNames = new RegExp(`\\n(?:content-length|${[...hopByHop].join('|')})\\n`);

export interface AcceptedHead {
  readonly status: number;
  readonly headers: readonly string[];
  /** As announced by the module. */
  readonly contentLength: number | null;
}

/** The heads of one instance's answers, one after the other. Most are the same as the one before, and then need not be looked at again. */
export class ResponseHeads {
  #text = '';
  #head: AcceptedHead | null = null;

  /** Checks what an instance sent as the head of an answer (see wire/head.ts); an instance may send anything. Null: not acceptable. */
  accept(text: string): AcceptedHead | null {
    if (text.length > headLengthMax) return null;
    if (text !== this.#text) {
      this.#head = acceptedHead(text);
      this.#text = text;
    }
    return this.#head;
  }
}

function acceptedHead(head: string): AcceptedHead | null {
  if (!headPattern.test(head)) return null;
  const headers = head.split('\n');
  const status = Number(headers.shift());
  return specialNames.test(head) ? withoutHopByHop(status, headers) : { status, headers, contentLength: null };
}

function withoutHopByHop(status: number, headers: string[]): AcceptedHead | null {
  const kept: string[] = [];
  let contentLength: number | null = null;
  for (let at = 0; at < headers.length; at += 2) {
    const [name = '', value = ''] = [headers[at], headers[at + 1]];
    if (hopByHop.has(name)) continue;
    if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value) || contentLength !== null) return null;
      contentLength = Number(value);
    }
    kept.push(name, value);
  }
  return { status, headers: kept, contentLength };
}

/** The first value of a header; null where there is none. @param headers names in lower case and values in turn. */
export function headerOf(headers: readonly string[], name: string): string | null {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return headers[at + 1] ?? null;
  return null;
}
