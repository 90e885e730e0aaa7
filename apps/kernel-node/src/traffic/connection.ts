import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { encodeHeaders } from '@hotswap/module-host';
import { forwardedHeaders } from './forwarded-headers.js';

const connection = Symbol('connection');

/** What is known of a client's connection from one request to the next. */
export class Connection {
  /** The last answer that was begun. */
  answering: ServerResponse | null = null;
  #rawHeaders: string[] | null = null;
  #headers: string[] = [];
  #encodedHeaders: string | undefined;

  static of(socket: Socket & { [connection]?: Connection }): Connection {
    return (socket[connection] ??= new Connection());
  }

  /** What a module sees of the request's headers. A client that asks again mostly sends the same ones; making theirs anew is a noticeable part of what a request costs. */
  headersOf(request: IncomingMessage): { headers: string[]; encodedHeaders: string | undefined } {
    const { rawHeaders } = request;
    if (this.#rawHeaders !== null && isSame(rawHeaders, this.#rawHeaders))
      this.#encodedHeaders ??= encodeHeaders(this.#headers);
    else {
      this.#headers = forwardedHeaders(request);
      this.#rawHeaders = rawHeaders;
      this.#encodedHeaders = undefined;
    }
    return { headers: this.#headers, encodedHeaders: this.#encodedHeaders };
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false;
  return true;
}
