import { frameTypes, ProtocolError } from './frame.js';
import type { FrameWriter } from './frame-writer.js';

/** Bytes of one body that may be under way unread: enough that credit is back before it is used up, little enough for thousands of exchanges. */
export const windowBytes = 64 * 1024;
const pieceBytesMax = 64 * 1024;

/** Sends one body in pieces, no faster than the receiver takes them. One `send` at a time. */
export class CreditedSender {
  #credit = windowBytes;
  #stopped = false;
  #wake: (() => void) | null = null;

  constructor(
    private readonly writer: FrameWriter,
    private readonly id: number,
  ) {}

  /** Sends all of it at once; false: there is not enough credit for it (or nobody takes it), nothing is sent. @param isLast as of `end`. */
  trySend(bytes: Uint8Array, isLast: boolean): boolean {
    if (this.#stopped || bytes.length > this.#credit || bytes.length > pieceBytesMax) return false;
    this.#credit -= bytes.length;
    this.writer.write(frameTypes.body, this.id, '', bytes, isLast);
    this.#stopped = isLast;
    return true;
  }

  /** Answers when everything is handed over. Copies it first: a module may change or detach a piece of its stream at any time. False: nobody takes the rest. */
  async send(piece: Uint8Array): Promise<boolean> {
    const bytes = Buffer.from(piece);
    let at = 0;
    while (at < bytes.length && !this.#stopped) {
      if (this.#credit === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      const size = Math.min(this.#credit, pieceBytesMax, bytes.length - at);
      this.#credit -= size;
      this.writer.write(frameTypes.body, this.id, '', bytes.subarray(at, at + size), false);
      at += size;
    }
    return !this.#stopped;
  }

  /** The body is complete. */
  end(): void {
    if (!this.#stopped) this.writer.write(frameTypes.body, this.id);
    this.#stopped = true;
  }

  grant(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, windowBytes);
    this.#wakeUp();
  }

  /** The receiver is gone, or wants no more. */
  stop(): void {
    this.#stopped = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }
}

interface Waiting {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: Error): void;
}

/** Receives one body and gives the sender credit as it is read. Read once. */
export class CreditedReceiver implements AsyncIterableIterator<Uint8Array, undefined> {
  #queue: Uint8Array[] = [];
  #unread = 0;
  #ungranted = 0;
  #ended = false;
  #error: Error | null = null;
  #waiting: Waiting | null = null;

  /** @param onCancel the reader stopped before the end. */
  constructor(
    private readonly writer: FrameWriter,
    private readonly id: number,
    private readonly onCancel: () => void,
  ) {}

  /** Nothing more comes. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** @throws ProtocolError when the sender had no credit for it. */
  push(bytes: Uint8Array): void {
    if (this.#ended || bytes.length === 0) return;
    this.#unread += bytes.length;
    if (this.#unread + this.#ungranted > windowBytes)
      throw new ProtocolError('More body was sent than there was credit for.');
    if (this.#waiting === null) this.#queue.push(bytes);
    else this.#settle((waiting) => waiting.resolve({ done: false, value: this.#taken(bytes) }));
  }

  end(): void {
    this.#ended = true;
    this.#settle((waiting) => waiting.resolve({ done: true, value: undefined }));
  }

  /** What was received before is still read first. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#settle((waiting) => {
      this.#error = null;
      waiting.reject(error);
    });
  }

  /** What is unread, where that is all there will be; null: it has to be waited for, or failed. */
  takeRest(): Uint8Array[] | null {
    if (!this.#ended || this.#error !== null) return null;
    const rest = this.#queue;
    this.#queue = [];
    return rest;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const bytes = this.#queue.shift();
    if (bytes !== undefined) return { done: false, value: this.#taken(bytes) };
    if (this.#error !== null) {
      const error = this.#error;
      this.#error = null;
      throw error;
    }
    if (this.#ended) return { done: true, value: undefined };
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#queue = [];
    this.#error = null;
    const ended = this.#ended;
    this.end();
    if (!ended) this.onCancel();
    return { done: true, value: undefined };
  }

  #taken(bytes: Uint8Array): Uint8Array {
    this.#unread -= bytes.length;
    this.#ungranted += bytes.length;
    if (this.#ungranted >= windowBytes / 2 && !this.#ended) {
      this.writer.write(frameTypes.credit, this.id, String(this.#ungranted));
      this.#ungranted = 0;
    }
    return bytes;
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) how(waiting);
  }
}
