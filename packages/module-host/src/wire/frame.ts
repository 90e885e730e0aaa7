/** A message between kernel and instance. `id` names a call or an exchange; the kernel numbers both, each for itself. */
export interface Frame {
  type: FrameType;
  id: number;
  /** Latin-1 text; what it says depends on the type. */
  head: string;
  /** Text where all of it is ASCII. */
  body: string | Buffer | null;
  /** No more of the body follows. */
  isLast: boolean;
}

/** K: the kernel sends it, I: the instance does. A body is JSON where a shape is named (see messages.ts). */
export const frameTypes = {
  /** K: InstanceCall; answered by `done` or `failed`. */
  call: 1,
  /** I: the call's result. */
  done: 2,
  /** I: Failure. */
  failed: 3,
  /** K: head of a request (see head.ts), with its body as far as it is there; opens an exchange. */
  request: 4,
  /** I: head of its answer (see head.ts), with the body where that is whole. */
  response: 5,
  /** K, I: a piece of the request's or of the response's body; needs credit. */
  body: 6,
  /** K: nobody waits for the answer any more; body: why, as text. */
  abort: 7,
  /** I: the exchange ends without (the rest of) an answer; why is the log's business, not the client's. */
  error: 8,
  /** K, I: so many more bytes of body may be sent; head: a decimal number. */
  credit: 9,
  /** K: a call with what an instance answered to `snapshot`. */
  restore: 10,
} as const;

export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

const frameTypeMax = Math.max(...Object.values(frameTypes));

export function isFrameType(value: number): value is FrameType {
  return value >= 1 && value <= frameTypeMax;
}

/** What came over the wire is not what the protocol allows; the connection can't be trusted any more. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
}
