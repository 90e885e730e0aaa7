import { frameHeaderBytes, type FrameType } from './frame.js';
import type { Wire } from './wire.js';

const nothing = new Uint8Array(0);

interface PendingFrame {
  type: FrameType;
  id: number;
  /** Latin-1; with `headLength` in front of it when a body follows. */
  head: string;
  /** Text is sent as UTF-8. */
  body: string | Uint8Array | null;
  bytes: number;
}

/** Sends frames, those of one event-loop turn together in one batch: a system call per turn instead of one per frame. */
export class FrameWriter {
  #pending: PendingFrame[] = [];
  #bytes = 0;
  readonly #flush = () => this.flush();

  constructor(private readonly wire: Wire) {}

  /** What is written after the wire's end is dropped: whoever waits for an answer learns of the end from the wire itself. */
  write(type: FrameType, id: number, payload: Uint8Array = nothing): void {
    this.#push({ type, id, head: '', body: payload, bytes: payload.length });
  }

  /** @param text Latin-1. */
  writeHead(type: FrameType, id: number, text: string): void {
    this.#push({ type, id, head: text, body: null, bytes: text.length });
  }

  /** Head and whole body in one frame: `u32 length of the head | head | body`. @param bodyBytes length of the body as it is sent. */
  writeWhole(type: FrameType, id: number, head: string, body: string | Uint8Array, bodyBytes: number): void {
    this.#push({ type, id, head, body, bytes: 4 + head.length + bodyBytes });
  }

  writeJson(type: FrameType, id: number, value: unknown): void {
    this.write(type, id, Buffer.from(JSON.stringify(value)));
  }

  writeUint32(type: FrameType, id: number, value: number): void {
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32BE(value);
    this.write(type, id, payload);
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const batch = this.wire.allocate(this.#bytes);
    let at = 0;
    for (const frame of this.#pending) at = encode(frame, batch, at);
    this.#pending = [];
    this.#bytes = 0;
    this.wire.send(batch);
  }

  #push(frame: PendingFrame): void {
    if (this.#pending.length === 0) setImmediate(this.#flush);
    this.#pending.push(frame);
    this.#bytes += frameHeaderBytes + frame.bytes;
  }
}

function encode({ type, id, head, body, bytes }: PendingFrame, batch: Buffer, start: number): number {
  let at = start;
  at = batch.writeUInt32BE(frameHeaderBytes - 4 + bytes, at);
  batch[at++] = type;
  at = batch.writeUInt32BE(id, at);
  if (body === null) return at + batch.write(head, at, 'latin1');
  if (head !== '') {
    at = batch.writeUInt32BE(head.length, at);
    at += batch.write(head, at, 'latin1');
  }
  if (typeof body === 'string') batch.write(body, at, 'utf8');
  else batch.set(body, at);
  return start + frameHeaderBytes + bytes;
}
