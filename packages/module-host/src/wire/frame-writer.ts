import { batchHeaderBytes, entryBytes, flags } from './batch.js';
import type { FrameType } from './frame.js';
import type { Wire } from './wire.js';

/** A batch that has grown so big does not wait for the end of the turn. */
const batchBytesWanted = 64 * 1024;

/** Sends frames, those of one event-loop turn together in one batch: a system call per turn instead of one per frame. */
export class FrameWriter {
  #entries: number[] = [];
  #text = '';
  #bodies: Uint8Array[] = [];
  #bodyBytes = 0;
  #isScheduled = false;
  readonly #flush = () => {
    this.#isScheduled = false;
    this.flush();
  };

  constructor(private readonly wire: Wire) {}

  /**
   * What is written after the wire's end is dropped: whoever waits for an answer learns of the end from the wire itself.
   *
   * @param head Latin-1.
   * @param body where it is text, ASCII. Bytes must not be changed before they are sent.
   * @param isLast no more of the body follows.
   */
  write(type: FrameType, id: number, head = '', body: string | Uint8Array | null = null, isLast = true): void {
    let start = type as number;
    let bodyBytes = 0;
    this.#text += head;
    if (typeof body === 'string') {
      start |= flags.hasBody | flags.isText;
      bodyBytes = body.length;
      this.#text += body;
    } else if (body !== null) {
      start |= flags.hasBody;
      bodyBytes = body.length;
      this.#bodyBytes += bodyBytes;
      this.#bodies.push(body);
    }
    this.#entries.push(isLast ? start | flags.isLast : start, id, head.length, bodyBytes);
    if (this.#text.length + this.#bodyBytes >= batchBytesWanted) this.flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flush);
    }
  }

  writeJson(type: FrameType, id: number, value: unknown): void {
    this.write(type, id, '', Buffer.from(JSON.stringify(value)));
  }

  flush(): void {
    const entries = this.#entries;
    if (entries.length === 0) return;
    const frames = entries.length / 4;
    const textStart = batchHeaderBytes + frames * entryBytes;
    const bodiesStart = textStart + this.#text.length;
    const bodies = this.#bodies;
    const isJoined = this.#bodyBytes <= this.wire.joinedBytesMax;
    const batch = this.wire.allocate(bodiesStart + (isJoined ? this.#bodyBytes : 0));
    let at = batch.writeUInt32LE(bodiesStart + this.#bodyBytes - 4, 0);
    at = batch.writeUInt32LE(frames, at);
    at = batch.writeUInt32LE(this.#text.length, at);
    for (const entry of entries) at = batch.writeUInt32LE(entry, at);
    batch.write(this.#text, textStart, 'latin1');
    if (isJoined) {
      at = bodiesStart;
      for (const body of bodies) {
        batch.set(body, at);
        at += body.length;
      }
    }
    this.#entries = [];
    this.#text = '';
    this.#bodies = [];
    this.#bodyBytes = 0;
    this.wire.send(batch, isJoined ? [] : bodies);
  }
}
