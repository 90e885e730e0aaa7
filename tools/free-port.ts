import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what the launcher looks for by itself (from 20,000), and what systems give to who asks for any (from 32,768): a port stays free
 * until it is used. Each of Jest's workers has a part of its own.
 */
const first = 10_000;
const partSize = 1_000;
const parts = 10;

const from = first + (Number(process.env['JEST_WORKER_ID'] ?? 0) % parts) * partSize;
let next = from + randomInt(partSize);

/** The first of `count` neighbouring ports of 127.0.0.1 that nobody listens on now, nor was given before. */
export async function freePort(count = 1): Promise<number> {
  for (let looked = 0; looked < partSize; looked += count) {
    if (next + count > from + partSize) next = from;
    const port = next;
    next += count;
    const free = await Promise.all(Array.from({ length: count }, (_, offset) => isFree(port + offset)));
    if (free.every(Boolean)) return port;
  }
  throw new Error(`No ${count} free ports from ${from} to ${from + partSize - 1}`);
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    await once(probe.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  probe.close();
  await once(probe, 'close');
  return true;
}
