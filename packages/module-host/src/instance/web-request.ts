import type { CreditedReceiver } from '../wire/credit.js';
import type { RequestHead } from '../wire/messages.js';

/** The Web-standard request that a module's `fetch` gets. Here, and in web-response.ts, lighter classes could take the place of Node's own. */
export function webRequest(head: RequestHead, body: CreditedReceiver | null, signal: AbortSignal): Request {
  const { method, url, headers } = head;
  if (body === null) return new Request(url, { method, headers, signal });
  return new Request(url, { method, headers, signal, body: streamOf(body), duplex: 'half' });
}

/** Reads a piece only when it is asked for, so that the sender waits while the module does. */
function streamOf(body: CreditedReceiver): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await body.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await body.return();
      },
    },
    { highWaterMark: 0 },
  );
}
