import type { Duplex } from 'node:stream';
import { frameHeaderBytes, type FrameType } from './frame.js';

const nothing = new Uint8Array(0);

/** Sends frames, those of one event-loop turn together in one write: a system call per turn instead of one per frame. */
export class FrameWriter {
  #pending: { type: FrameType; id: number; payload: Uint8Array }[] = [];
  #bytes = 0;

  constructor(private readonly socket: Duplex) {}

  /** What is written after the socket's end is dropped: whoever waits for an answer learns of the end from the socket itself. */
  write(type: FrameType, id: number, payload: Uint8Array = nothing): void {
    if (this.#pending.length === 0) setImmediate(() => this.flush());
    this.#pending.push({ type, id, payload });
    this.#bytes += frameHeaderBytes + payload.length;
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
    const batch = Buffer.allocUnsafe(this.#bytes);
    let at = 0;
    for (const { type, id, payload } of this.#pending) {
      batch.writeUInt32BE(frameHeaderBytes - 4 + payload.length, at);
      batch[at + 4] = type;
      batch.writeUInt32BE(id, at + 5);
      batch.set(payload, at + frameHeaderBytes);
      at += frameHeaderBytes + payload.length;
    }
    this.#pending = [];
    this.#bytes = 0;
    if (this.socket.writable) this.socket.write(batch);
  }
}
