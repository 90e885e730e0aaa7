import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { moduleName } from './published-module.js';

/** Who answered a request, as the module says it. */
export interface Answerer {
  version: string;
  pid: number;
}

/** A module's members that say who answers: `/held` at once and again when the request's body has ended, everything else once. */
export const holdingMembers = `fetch(request, env) {
  const answerer = JSON.stringify({ version: env.version, pid: process.pid }) + '\\n';
  if (!request.url.endsWith('/held')) return new Response(answerer, { headers: { 'content-type': 'application/json' } });
  return new Response(new ReadableStream({
    async start(answer) {
      answer.enqueue(new TextEncoder().encode(answerer));
      await request.text();
      answer.enqueue(new TextEncoder().encode(answerer));
      answer.close();
    },
  }));
}`;

/** A request that an instance has in hand until `release` is called. */
export interface HeldRequest {
  by: Answerer;
  /** Lets it end. Answers who answered to its end. @throws Error when the answer is cut off */
  release(): Promise<Answerer>;
  abandon(): void;
}

/** Answers once an instance of the node has the request in hand. */
export async function holdRequest(address: string): Promise<HeldRequest> {
  const outgoing = request(`${address}/${moduleName}/held`, { method: 'POST', agent: false });
  // A failure is told to whoever waits for the answer's next part.
  outgoing.on('error', () => undefined);
  // A node hangs up on a client that sends nothing for a minute.
  const sending = setInterval(() => outgoing.write('.'), 5_000);
  outgoing.on('close', () => clearInterval(sending));
  const answered = once(outgoing, 'response', { signal: AbortSignal.timeout(30_000) });
  try {
    outgoing.write('held');
    const [response] = (await answered) as [IncomingMessage];
    const [begun] = (await once(response, 'data', { signal: AbortSignal.timeout(30_000) })) as [Buffer];
    return {
      by: JSON.parse(begun.toString()) as Answerer,
      release: async () => {
        clearInterval(sending);
        outgoing.end();
        return JSON.parse(await text(response)) as Answerer;
      },
      abandon: () => outgoing.destroy(),
    };
  } catch (error) {
    outgoing.destroy();
    throw error;
  }
}
