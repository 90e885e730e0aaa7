import { frameHeaderBytes, isFrameType, ProtocolError, type Frame } from './frame.js';

/** Cuts a stream of bytes into frames. A frame's payload is a view of what was received, not a copy, where it came in one piece. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #needed = frameHeaderBytes;

  /** @param bytesMax largest `length` that is accepted. */
  constructor(
    private readonly bytesMax: number,
    private readonly onFrame: (frame: Frame) => void,
  ) {}

  /** @throws ProtocolError for an unknown type and for a length beyond the limit. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return;
    let buffer = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    this.#needed = frameHeaderBytes;
    while (buffer.length >= frameHeaderBytes) {
      const length = buffer.readUInt32BE(0);
      const type = buffer[4] ?? 0;
      if (length < frameHeaderBytes - 4 || length > this.bytesMax)
        throw new ProtocolError(`A frame of ${length} bytes is not within 5 to ${this.bytesMax}.`);
      if (!isFrameType(type)) throw new ProtocolError(`There is no frame type ${type}.`);
      if (buffer.length < length + 4) {
        this.#needed = length + 4;
        break;
      }
      const frame = { type, id: buffer.readUInt32BE(5), payload: buffer.subarray(frameHeaderBytes, length + 4) };
      buffer = buffer.subarray(length + 4);
      this.onFrame(frame);
    }
    this.#chunks = buffer.length > 0 ? [buffer] : [];
    this.#bytes = buffer.length;
  }
}
