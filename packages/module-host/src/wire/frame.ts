/**
 * A frame on the socket between kernel and instance: `length (u32, of what follows) | type (u8) | id (u32) | payload`, numbers big-endian.
 * `id` names a call or an exchange; both are numbered by the kernel.
 */
export interface Frame {
  type: FrameType;
  id: number;
  payload: Buffer;
}

/** K: the kernel sends it, I: the instance does. Payloads are JSON where a shape is named (see messages.ts), bytes otherwise. */
export const frameTypes = {
  /** K: InstanceCall; answered by `done` or `failed`. */
  call: 1,
  /** I: the call's result. */
  done: 2,
  /** I: Failure. */
  failed: 3,
  /** K: RequestHead (see head.ts); opens an exchange. */
  request: 4,
  /** I: ResponseHead (see head.ts). */
  head: 5,
  /** K, I: a piece of the request's or of the response's body; needs credit. */
  body: 6,
  /** K, I: that body is complete. */
  end: 7,
  /** K: nobody waits for the answer any more; payload: why, as text. */
  abort: 8,
  /** I: the exchange ends without (the rest of) an answer; why is the log's business, not the client's. */
  error: 9,
  /** K, I: u32, so many more bytes of body may be sent. */
  credit: 10,
  /** I: `u32 length of the head | ResponseHead | the whole body`: a short answer, complete; needs no credit. */
  answer: 11,
  /** K: a call with what an instance answered to `snapshot`. */
  restore: 12,
} as const;

export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

/** Largest frame that the kernel takes from an instance: a state that is handed over; heads are far smaller, bodies come in pieces. */
export const frameBytesMax = 64 * 1024 * 1024;

export const frameHeaderBytes = 9;

const knownTypes: ReadonlySet<number> = new Set(Object.values(frameTypes));

export function isFrameType(value: number): value is FrameType {
  return knownTypes.has(value);
}

/** What came over the socket is not what the protocol allows; the connection can't be trusted any more. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
}
