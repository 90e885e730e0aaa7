import { randomBytes } from 'node:crypto';

let chosen: string | null = null;

/** Ids at random, except for the span that `withSpanId` begins. */
export const chosenSpanIds = {
  generateTraceId: (): string => randomBytes(16).toString('hex'),
  generateSpanId: (): string => {
    const id = chosen ?? randomBytes(8).toString('hex');
    chosen = null;
    return id;
  },
};

/** Gives the one span that `begin` starts, synchronously, the id: others have named it as their parent before it is written. */
export function withSpanId<T>(id: string, begin: () => T): T {
  chosen = id;
  try {
    return begin();
  } finally {
    chosen = null;
  }
}
