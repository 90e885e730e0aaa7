import { moduleName } from './published-module.js';

/** One request that its module takes a while to answer. Times in milliseconds of `performance.now()`. */
export interface SlowAnswer {
  address: string;
  startedAt: number;
  endedAt: number;
  /** Null: no answer. */
  status: number | null;
  version: string | null;
  /** Of the process that answered, as the module says it. */
  pid: number | null;
}

/** A module's members that answer `/slow` after a second and a half, and everything else at once, with version and pid. */
export const slowMembers = `async fetch(request, env) {
  if (request.url.endsWith('/slow')) await new Promise((end) => setTimeout(end, 1500));
  return Response.json({ version: env.version, pid: process.pid });
}`;

/** Every 150 ms a slow request to each node, whatever became of the ones before, while `action` runs. Answers what all of them met. */
export async function withSlowRequests(addresses: string[], action: () => Promise<void>): Promise<SlowAnswer[]> {
  const answers: Promise<SlowAnswer>[] = [];
  const timer = setInterval(() => answers.push(...addresses.map(ask)), 150);
  try {
    await action();
  } finally {
    clearInterval(timer);
  }
  return Promise.all(answers);
}

async function ask(address: string): Promise<SlowAnswer> {
  const startedAt = performance.now();
  try {
    const response = await fetch(`${address}/${moduleName}/slow`, { signal: AbortSignal.timeout(20_000) });
    const body = (await response.json()) as { version?: string; pid?: number };
    const [version = null, pid = null] = [body.version, body.pid];
    return { address, startedAt, endedAt: performance.now(), status: response.status, version, pid };
  } catch {
    return { address, startedAt, endedAt: performance.now(), status: null, version: null, pid: null };
  }
}
