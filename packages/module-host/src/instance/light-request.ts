import type { CreditedReceiver } from '../wire/credit.js';
import type { RequestHead } from '../wire/head.js';
import { delegateTo } from './delegate.js';
import { normalUrl } from './normal-url.js';

const NativeRequest = globalThis.Request;
const decoder = new TextDecoder();

/**
 * A Web-standard Request that costs what is asked of it: Node's own, with its headers, its stream and its abort signal, is made only when a
 * handler wants what is not here. It is a `Request` to `instanceof`; `nativeOf` gives Node's own where that is needed.
 */
export class LightRequest {
  readonly #head: Pick<RequestHead, 'method' | 'url' | 'headers'>;
  readonly #body: CreditedReceiver | null;
  #url: string | null = null;
  #headers: Headers | null = null;
  #abort: AbortController | null = null;
  #isRead = false;
  #native: Request | null = null;

  constructor(head: Pick<RequestHead, 'method' | 'url' | 'headers'>, body: CreditedReceiver | null) {
    this.#head = head;
    this.#body = body;
  }

  static nativeOf(request: LightRequest): Request {
    return request.#toNative();
  }

  /** The client has gone. */
  static abort(request: LightRequest, reason: unknown): void {
    (request.#abort ??= new AbortController()).abort(reason);
  }

  get method(): string {
    return this.#head.method;
  }

  get url(): string {
    return (this.#url ??= normalUrl(this.#head.url));
  }

  get headers(): Headers {
    return (this.#headers ??= this.#native?.headers ?? new Headers(this.#head.headers));
  }

  get signal(): AbortSignal {
    return this.#native?.signal ?? (this.#abort ??= new AbortController()).signal;
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#body === null ? null : this.#toNative().body;
  }

  get bodyUsed(): boolean {
    return this.#native?.bodyUsed ?? this.#isRead;
  }

  async text(): Promise<string> {
    if (this.#isTaken()) return this.#toNative().text();
    return decoder.decode(await this.#readAll());
  }

  async json(): Promise<unknown> {
    if (this.#isTaken()) return this.#toNative().json();
    return JSON.parse(decoder.decode(await this.#readAll())) as unknown;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.#isTaken()) return this.#toNative().arrayBuffer();
    return (await this.#readAll()).buffer;
  }

  async bytes(): Promise<Uint8Array> {
    if (this.#isTaken()) return this.#toNative().bytes();
    return this.#readAll();
  }

  #isTaken(): boolean {
    return this.#native !== null || this.#isRead;
  }

  /** In memory of its own: what was received is a part of a bigger piece. */
  async #readAll(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#body === null) return new Uint8Array(0);
    this.#isRead = true;
    const pieces = this.#body.takeRest() ?? (await allOf(this.#body));
    if (pieces.length === 1) return new Uint8Array(pieces[0]!);
    const whole = new Uint8Array(pieces.reduce((bytes, piece) => bytes + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  #toNative(): Request {
    if (this.#native !== null) return this.#native;
    const { method } = this.#head;
    const { signal } = (this.#abort ??= new AbortController());
    const init = { method, headers: this.#headers ?? this.#head.headers, signal };
    if (this.#body === null) this.#native = new NativeRequest(this.url, init);
    else {
      // What is being read stays the first reading's alone, and a second one has to fail as it does there.
      const body = this.#isRead ? new ReadableStream<Uint8Array<ArrayBuffer>>() : streamOf(this.#body);
      this.#native = new NativeRequest(this.url, { ...init, body, duplex: 'half' });
      if (this.#isRead) void this.#native.body?.getReader().cancel();
    }
    return this.#native;
  }
}

delegateTo(LightRequest, NativeRequest, (request) => LightRequest.nativeOf(request));

async function allOf(body: CreditedReceiver): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return pieces;
}

/** Reads a piece only when it is asked for, so that the sender waits while the module does. */
function streamOf(body: CreditedReceiver): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        const next = await body.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value as Uint8Array<ArrayBuffer>);
      },
      async cancel() {
        await body.return();
      },
    },
    { highWaterMark: 0 },
  );
}
