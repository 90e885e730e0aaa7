import { batchHeaderBytes, entryBytes, flags, typeMask } from './batch.js';
import { isFrameType, ProtocolError, type Frame } from './frame.js';

/** Whoever keeps the head keeps so much of its text body with it at most. */
const jointBodyBytesMax = 4096;

/** Cuts a stream of bytes into batches, and these into frames. A body is a view of what was received, not a copy, where its batch came in one piece. */
export class FrameReader {
  /** What is not read yet. All but the last piece are together less than what is waited for. */
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of the batch at hand; null: its header is not there yet. */
  #batchBytes: number | null = null;

  /**
   * @param bytesMax largest batch that is accepted.
   * @param onBatchEnd after the last frame of a batch.
   */
  constructor(
    private readonly bytesMax: number,
    private readonly onFrame: (frame: Frame) => void,
    private readonly onBatchEnd: () => void = () => undefined,
  ) {}

  /** @throws ProtocolError for what is no batch, and for one beyond the limit. */
  push(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= (this.#batchBytes ?? batchHeaderBytes)) {
      if (this.#batchBytes === null) this.#batchBytes = this.#sizeOf(this.#first(batchHeaderBytes));
      else {
        const batch = this.#first(this.#batchBytes);
        this.#readBatch(batch, this.#batchBytes);
        this.#drop(batch, this.#batchBytes);
        this.#batchBytes = null;
      }
    }
  }

  /** @throws ProtocolError */
  #sizeOf(header: Buffer): number {
    const bytes = 4 + header.readUInt32LE(0);
    if (bytes > this.bytesMax) throw new ProtocolError(`A batch of ${bytes} bytes is more than ${this.bytesMax}.`);
    if (bytes < batchHeaderBytes) throw new ProtocolError('A batch is shorter than its header.');
    return bytes;
  }

  /** What is not read yet, so many bytes of it at least in one piece; copies no more than these, and only where they came in several. */
  #first(bytes: number): Buffer {
    const [first, ...others] = this.#pieces;
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#pieces, bytes);
    const last = others.at(-1)!;
    const left = this.#bytes - bytes;
    this.#pieces = left === 0 ? [joined] : [joined, last.subarray(last.length - left)];
    return joined;
  }

  #drop(first: Buffer, bytes: number): void {
    this.#bytes -= bytes;
    if (first.length === bytes) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(bytes);
  }

  #readBatch(buffer: Buffer, end: number): void {
    const frames = buffer.readUInt32LE(4);
    let entry = batchHeaderBytes;
    const entriesEnd = entry + frames * entryBytes;
    let text = entriesEnd;
    let bytes = text + buffer.readUInt32LE(8);
    const textEnd = bytes;
    if (textEnd > end) throw new ProtocolError('A batch is shorter than it says.');
    for (; entry < entriesEnd; entry += entryBytes) {
      const word = buffer.readUInt32LE(entry);
      const type = word & typeMask;
      const headBytes = buffer.readUInt32LE(entry + 8);
      const bodyBytes = buffer.readUInt32LE(entry + 12);
      const isText = (word & flags.isText) !== 0;
      const nextText = text + headBytes + (isText ? bodyBytes : 0);
      if (!isFrameType(type)) throw new ProtocolError(`There is no frame type ${type}.`);
      if (nextText > textEnd || bytes + (isText ? 0 : bodyBytes) > end)
        throw new ProtocolError('A frame is longer than its batch.');
      // A string of its own for each: what a module keeps of one must not keep the whole batch. Head and short text together: two cost more.
      const isJoint = isText && bodyBytes <= jointBodyBytesMax;
      const headEnd = text + headBytes;
      const ownEnd = isJoint ? nextText : headEnd;
      const own = ownEnd === text ? '' : buffer.toString('latin1', text, ownEnd);
      const frame: Frame = {
        type,
        id: buffer.readUInt32LE(entry + 4),
        head: isJoint ? own.slice(0, headBytes) : own,
        body: isJoint ? own.slice(headBytes) : isText ? buffer.toString('latin1', headEnd, nextText) : null,
        isLast: (word & flags.isLast) !== 0,
      };
      text = nextText;
      if (!isText && (word & flags.hasBody) !== 0) frame.body = buffer.subarray(bytes, (bytes += bodyBytes));
      this.onFrame(frame);
    }
    this.onBatchEnd();
  }
}
