import { delegateTo } from './delegate.js';

const NativeResponse = globalThis.Response;
const NativeHeaders = globalThis.Headers;

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Without space around it, which would have to be taken off.
const plainValue = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const statusesWithoutBody: ReadonlySet<number> = new Set([204, 205, 304]);

type WholeBody = string | Uint8Array | null;

/** What a response that was never more than its parts is sent as. */
export interface WholeResponse {
  status: number;
  body: WholeBody;
  /** Names in lower case, each once. */
  headers: Iterable<[string, string]>;
}

type Parts = WholeResponse & { headers: [string, string][] };

/**
 * The `Response` that modules construct: text or bytes with a status and plain headers stay just that, and are sent so. For everything else,
 * streams first of all, and when a handler looks into it, Node's own is made.
 */
export class LightResponse {
  #parts: Parts | null;
  #headers: Headers | null = null;
  #native: Response | null;

  constructor(body?: ConstructorParameters<typeof Response>[0], init?: ResponseInit) {
    this.#parts = partsOf(body, init, 'text/plain;charset=UTF-8');
    this.#native = this.#parts === null ? new NativeResponse(body, init) : null;
  }

  static json(data: unknown, init?: ResponseInit): Response {
    const text = JSON.stringify(data) as string | undefined;
    const parts = text === undefined ? null : partsOf(text, init, 'application/json');
    if (parts === null) return NativeResponse.json(data, init);
    const response = new LightResponse();
    response.#parts = parts;
    return response as unknown as Response;
  }

  static [Symbol.hasInstance](value: unknown): boolean {
    return this === LightResponse
      ? value instanceof NativeResponse
      : Function.prototype[Symbol.hasInstance].call(this, value);
  }

  static nativeOf(response: LightResponse): Response {
    return response.#toNative();
  }

  /** Null: it is Node's own by now, or its body is too. */
  static whole(response: unknown): WholeResponse | null {
    if (!(typeof response === 'object' && response !== null && #parts in response)) return null;
    if (response.#native !== null || response.#parts === null) return null;
    return response.#headers === null ? response.#parts : { ...response.#parts, headers: response.#headers };
  }

  get status(): number {
    return this.#parts?.status ?? this.#toNative().status;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  get headers(): Headers {
    return (this.#headers ??= this.#native?.headers ?? new NativeHeaders(this.#parts?.headers));
  }

  get bodyUsed(): boolean {
    return this.#native?.bodyUsed ?? false;
  }

  /** Keeps the headers that were handed out: they may be changed later. */
  #toNative(): Response {
    if (this.#native === null && this.#parts !== null) {
      const { body, status } = this.#parts;
      this.#native = new NativeResponse(body as Uint8Array<ArrayBuffer> | string | null, {
        status,
        headers: this.headers,
      });
      this.#headers = this.#native.headers;
    }
    return this.#native!;
  }
}

delegateTo(LightResponse, NativeResponse, (response) => LightResponse.nativeOf(response));
Object.setPrototypeOf(LightResponse, NativeResponse);

/** Null for what is not plain, or not allowed: Node's own then says what it is, or why not. */
function partsOf(body: unknown, init: ResponseInit | null | undefined, textType: string): Parts | null {
  const copied = wholeBody(body);
  if (copied === undefined) return null;
  const headers = init === undefined || init === null ? [] : plainHeaders(init.headers);
  if (headers === null) return null;
  const status = init?.status ?? 200;
  if (!Number.isInteger(status) || status < 200 || status > 599 || (init?.statusText ?? '') !== '') return null;
  if (copied !== null && statusesWithoutBody.has(status)) return null;
  if (typeof copied === 'string' && !headers.some(([name]) => name === 'content-type'))
    headers.push(['content-type', textType]);
  return { status, body: copied, headers };
}

/** Undefined: none that is whole. Bytes are copied: whoever made the response may use them again. */
function wholeBody(body: unknown): WholeBody | undefined {
  if (body === null || body === undefined) return null;
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array && body.buffer instanceof ArrayBuffer) return new Uint8Array(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body.slice(0));
  return undefined;
}

function plainHeaders(headers: unknown): [string, string][] | null {
  if (headers === undefined || headers === null) return [];
  if (typeof headers !== 'object') return null;
  if (headers instanceof NativeHeaders) return [...headers];
  const prototype: unknown = Object.getPrototypeOf(headers);
  if (prototype !== Object.prototype && prototype !== null) return null;
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string' || !tokenPattern.test(name) || !plainValue.test(value)) return null;
    const lower = name.toLowerCase();
    if (pairs.some(([other]) => other === lower)) return null;
    pairs.push([lower, value]);
  }
  return pairs;
}
