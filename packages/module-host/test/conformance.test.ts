import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LightRequest } from '../src/instance/light-request.js';
import { LightResponse } from '../src/instance/light-response.js';
import { CreditedReceiver } from '../src/wire/credit.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { SocketWire } from '../src/wire/wire.js';

interface Asked {
  method: string;
  url: string;
  headers: [string, string][];
  pieces: Uint8Array[] | null;
  /** The body comes piece by piece, after the handler has begun. */
  isLate: boolean;
}

type ResponseClass = typeof Response;
type Handler = (request: Request, response: ResponseClass) => unknown;

/** Answers at once where nothing is late. */
function bring({ pieces, isLate }: Asked, take: (piece: Uint8Array) => void, end: () => void): void {
  const [piece, ...rest] = pieces ?? [];
  const go = () => {
    if (piece === undefined) return end();
    take(piece);
    bring({ pieces: rest, isLate } as Asked, take, end);
  };
  if (isLate) setImmediate(go);
  else go();
}

function lightRequest(asked: Asked): Request {
  const { pieces } = asked;
  const receiver =
    pieces && new CreditedReceiver(new FrameWriter(new SocketWire(new PassThrough())), 1, () => undefined);
  if (receiver !== null)
    bring(
      asked,
      (piece) => receiver.push(piece),
      () => receiver.end(),
    );
  return new LightRequest(asked, receiver) as unknown as Request;
}

function nativeRequest(asked: Asked): Request {
  const { method, url, headers, pieces } = asked;
  if (pieces === null) return new Request(url, { method, headers });
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      bring(
        asked,
        (piece) => void (piece.length > 0 && !isCancelled && controller.enqueue(piece)),
        () => void (isCancelled || controller.close()),
      );
    },
    cancel() {
      isCancelled = true;
    },
  });
  return new Request(url, { method, headers, body, duplex: 'half' });
}

/** Everything that can be told from outside: what came back, or what was thrown. */
async function outcome(work: () => unknown): Promise<unknown> {
  try {
    const result = await work();
    if (!(result instanceof Response)) return result;
    const { status, statusText, ok, type, redirected, bodyUsed } = result;
    const headers = [...result.headers];
    const bytes = bodyUsed ? null : [...new Uint8Array(await result.arrayBuffer())];
    return { status, statusText, ok, type, redirected, bodyUsed, headers, bytes };
  } catch (error) {
    return { thrown: (error as Error).name, message: (error as Error).message };
  }
}

const methods = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'REPORT');
const headerName = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
  .filter((name) => !/^(host|content-length)$/i.test(name));
const headerValue = fc.stringMatching(/^[!-~é]([ -~é]{0,20}[!-~é])?$/);
const path = fc.oneof(
  fc.webPath({ size: 'small' }).map((text) => `/${text.replace(/^\//, '')}`),
  fc.constantFrom(
    '/',
    '/a/../b',
    '/%2e%2E/x',
    '/.',
    '/a b',
    "/it's?q='x'&y=<>",
    '/ü',
    '/a?b=c#d',
    '//x',
    '/a?../b',
    '/a|b',
    '/%',
    '/a\\b',
  ),
);
const host = fc.constantFrom(
  'localhost',
  '127.0.0.1:8080',
  'LOCALHOST',
  'example.com:80',
  'a_b',
  '[::1]:3000',
  '010.0.0.1',
);
const pieces = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc.constant(new Uint8Array([0xef, 0xbb, 0xbf, 0x31])),
  ),
  { maxLength: 3 },
);
const asked: fc.Arbitrary<Asked> = fc
  .record({
    method: methods,
    host,
    path,
    headers: fc.array(fc.tuple(headerName, headerValue), { maxLength: 5 }),
    pieces: fc.option(pieces),
    isLate: fc.boolean(),
  })
  .map(({ host: name, path: target, method, ...rest }) => ({
    ...rest,
    method,
    url: `http://${name}${target}`,
    pieces: method === 'GET' || method === 'HEAD' ? null : rest.pieces,
  }));

const requestHandlers: Record<string, Handler> = {
  members: ({
    method,
    url,
    headers,
    bodyUsed,
    redirect,
    mode,
    cache,
    credentials,
    integrity,
    keepalive,
    destination,
    duplex,
  }) => ({
    method,
    url,
    headers: [...headers],
    bodyUsed,
    redirect,
    mode,
    cache,
    credentials,
    integrity,
    keepalive,
    destination,
    duplex,
  }),
  text: (request) => request.text(),
  json: (request) => request.json(),
  arrayBuffer: async (request) => [...new Uint8Array(await request.arrayBuffer())],
  bytes: async (request) => [...(await request.bytes())],
  blob: async (request) => (await request.blob()).size,
  formData: async (request) => [...(await request.formData())].length,
  twice: async (request) => [await request.text(), await request.text()],
  'two readings at once': async (request) => {
    const readings = await Promise.allSettled([request.text(), request.json(), request.arrayBuffer()]);
    return readings.map((reading) =>
      reading.status === 'fulfilled'
        ? reading.value
        : [(reading.reason as Error).name, (reading.reason as Error).message],
    );
  },
  'its stream while it is read': async (request) => {
    const reading = request.text();
    const { body } = request;
    const state = [request.bodyUsed, body === null ? null : body.locked];
    return [state, await reading];
  },
  'form data of a body that is half read': async (request) => {
    const reader = request.body?.getReader();
    await reader?.read();
    reader?.releaseLock();
    return request.formData();
  },
  'text, then its stream': async (request) => {
    await request.text();
    return [request.bodyUsed, request.body === null];
  },
  'clone, then both': async (request) => {
    const copy = request.clone();
    return [await copy.text(), await request.text(), request.bodyUsed, copy.bodyUsed];
  },
  'clone after use': async (request) => {
    await request.text();
    return request.clone().method;
  },
  stream: async (request) => {
    const bytes: number[] = [];
    for await (const piece of request.body ?? []) bytes.push(...piece);
    return [bytes, request.bodyUsed];
  },
  'signal and headers': ({ signal, headers }) => {
    headers.set('x-added', 'yes');
    return [signal.aborted, signal instanceof AbortSignal, headers.get('x-added'), headers.get('X-ADDED')];
  },
  'headers kept over a change': (request) => {
    request.headers.set('x-added', 'yes');
    return [request.clone().headers.get('x-added'), request.headers.get('x-added')];
  },
  'instance of': (request) => request instanceof Request,
};

const body = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 30 }),
  fc.constantFrom(null, undefined, '', 'é😀', '\ud800', new URLSearchParams('a=b'), new Uint8Array([1, 2]).buffer),
);
const init = fc.option(
  fc.record(
    {
      status: fc.oneof(fc.integer({ min: 199, max: 602 }), fc.constantFrom(200, 204, 205, 304, 200.5)),
      statusText: fc.constantFrom('', 'Fine', 'bad\ntext'),
      headers: fc.oneof(
        fc.dictionary(headerName, headerValue, { maxKeys: 4 }),
        fc.array(fc.tuple(headerName, headerValue), { maxLength: 4 }),
        fc.constantFrom<unknown>(
          { a: ' spaced ' },
          { a: 'x', A: 'y' },
          { 'bad name': 'x' },
          { a: '\u0100' },
          { a: 1 },
          { 'content-type': 'text/html' },
          { 'Set-Cookie': 'a=b' },
        ),
      ),
    },
    { requiredKeys: [] },
  ),
  { nil: undefined },
);

const responseHandlers: Record<string, (response: Response) => unknown> = {
  itself: (response) => response,
  text: (response) => response.text(),
  'a changed header': (response) => {
    response.headers.set('x-added', 'yes');
    return response;
  },
  'a header, then a clone': (response) => {
    response.headers.set('x-added', 'yes');
    return response.clone();
  },
  'its stream in another': (response) => new Response(response.body, response),
  'read before it is returned': async (response) => {
    await response.text();
    return response;
  },
};

const light = LightResponse as unknown as ResponseClass;

describe('A light Request', () => {
  it.each(Object.entries(requestHandlers))('is to a handler what Node’s own is: %s', async (_, handler) => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(asked, async (request) => {
        // A URL that Node refuses never reaches a module: the kernel's router makes it of parts that are checked.
        fc.pre(URL.canParse(request.url) && !new URL(request.url).username);
        compared++;
        expect(await outcome(() => handler(lightRequest(request), light))).toEqual(
          await outcome(() => handler(nativeRequest(request), Response)),
        );
      }),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(30);
  });
});

describe('A light Response', () => {
  it.each(Object.entries(responseHandlers))('is to whoever looks at it what Node’s own is: %s', async (_, look) => {
    await fc.assert(
      fc.asyncProperty(body, init, async (content, options) => {
        const made = (kind: ResponseClass) => outcome(() => look(new kind(content as string, options as ResponseInit)));
        expect(await made(light)).toEqual(await made(Response));
      }),
      { numRuns: 150 },
    );
  });

  it('makes JSON as Node’s own does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.jsonValue(),
          fc.constantFrom(undefined, () => 1),
        ),
        init,
        async (value, options) => {
          const made = (kind: ResponseClass) => outcome(() => kind.json(value, options as ResponseInit));
          expect(await made(light)).toEqual(await made(Response));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('has what Node’s own has', () => {
    expect(new light('x') instanceof Response).toBe(true);
    expect(new Response('x') instanceof light).toBe(true);
    expect(light.redirect('http://localhost/x').status).toBe(302);
    expect(light.error().type).toBe('error');
    class Own extends light {}
    expect(new Response('x') instanceof Own).toBe(false);
  });
});
