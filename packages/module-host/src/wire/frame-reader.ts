import { batchHeaderBytes, entryBytes, flags, typeMask } from './batch.js';
import { isFrameType, ProtocolError, type Frame } from './frame.js';

/** Cuts a stream of bytes into batches, and these into frames. A body is a view of what was received, not a copy, where its batch came in one piece. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #needed = batchHeaderBytes;

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
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return;
    const buffer = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    let at = 0;
    this.#needed = batchHeaderBytes;
    while (buffer.length - at >= batchHeaderBytes) {
      const bytes = 4 + buffer.readUInt32LE(at);
      if (bytes > this.bytesMax) throw new ProtocolError(`A batch of ${bytes} bytes is more than ${this.bytesMax}.`);
      if (buffer.length - at < bytes) {
        this.#needed = bytes;
        break;
      }
      this.#readBatch(buffer, at, at + bytes);
      at += bytes;
    }
    this.#chunks = at < buffer.length ? [at === 0 ? buffer : buffer.subarray(at)] : [];
    this.#bytes = buffer.length - at;
  }

  #readBatch(buffer: Buffer, start: number, end: number): void {
    const frames = buffer.readUInt32LE(start + 4);
    let entry = start + batchHeaderBytes;
    let text = entry + frames * entryBytes;
    let bytes = text + buffer.readUInt32LE(start + 8);
    const textEnd = bytes;
    if (textEnd > end) throw new ProtocolError('A batch is shorter than it says.');
    for (; entry < start + batchHeaderBytes + frames * entryBytes; entry += entryBytes) {
      const word = buffer.readUInt32LE(entry);
      const type = word & typeMask;
      const headBytes = buffer.readUInt32LE(entry + 8);
      const bodyBytes = buffer.readUInt32LE(entry + 12);
      const isText = (word & flags.isText) !== 0;
      const nextText = text + headBytes + (isText ? bodyBytes : 0);
      if (!isFrameType(type)) throw new ProtocolError(`There is no frame type ${type}.`);
      if (nextText > textEnd || bytes + (isText ? 0 : bodyBytes) > end)
        throw new ProtocolError('A frame is longer than its batch.');
      // A string of its own for each: what a module keeps of one must not keep the whole batch.
      const own = nextText === text ? '' : buffer.toString('latin1', text, nextText);
      const frame: Frame = {
        type,
        id: buffer.readUInt32LE(entry + 4),
        head: isText ? own.slice(0, headBytes) : own,
        body: isText ? own.slice(headBytes) : null,
        isLast: (word & flags.isLast) !== 0,
      };
      text = nextText;
      if (!isText && (word & flags.hasBody) !== 0) frame.body = buffer.subarray(bytes, (bytes += bodyBytes));
      this.onFrame(frame);
    }
    this.onBatchEnd();
  }
}
