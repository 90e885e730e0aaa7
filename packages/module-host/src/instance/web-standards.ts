import { LightRequest } from './light-request.js';
import { LightResponse } from './light-response.js';

const NativeRequest = globalThis.Request;
const nativeFetch = globalThis.fetch;

type Input = ConstructorParameters<typeof Request>[0];

/** `Request`, `Response` and `fetch` as a module sees them: Node's own, but that they know the light ones. Called once, before any module's code. */
export function installWebStandards(): void {
  const request = class extends NativeRequest {
    constructor(input: Input, init?: RequestInit) {
      super(native(input), init);
    }

    static override [Symbol.hasInstance](value: unknown): boolean {
      return this === request
        ? value instanceof NativeRequest
        : Function.prototype[Symbol.hasInstance].call(this, value);
    }
  };
  Object.defineProperty(request, 'name', { value: 'Request' });
  Object.defineProperty(LightResponse, 'name', { value: 'Response' });
  Object.defineProperty(LightRequest.prototype, 'constructor', { value: request });
  define('Request', request);
  define('Response', LightResponse);
  define('fetch', async (input: Input, init?: RequestInit) => nativeFetch(native(input), init));
}

function native(input: Input): Input {
  return input instanceof LightRequest ? LightRequest.nativeOf(input) : input;
}

function define(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}
