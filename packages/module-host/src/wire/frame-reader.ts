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
    const buffer = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    const end = buffer.length;
    let at = 0;
    this.#needed = frameHeaderBytes;
    while (end - at >= frameHeaderBytes) {
      const length = buffer.readUInt32BE(at);
      const type = buffer[at + 4] ?? 0;
      if (length < frameHeaderBytes - 4 || length > this.bytesMax)
        throw new ProtocolError(`A frame of ${length} bytes is not within 5 to ${this.bytesMax}.`);
      if (!isFrameType(type)) throw new ProtocolError(`There is no frame type ${type}.`);
      if (end - at < length + 4) {
        this.#needed = length + 4;
        break;
      }
      const start = at + frameHeaderBytes;
      const id = buffer.readUInt32BE(at + 5);
      at += length + 4;
      this.onFrame({ type, id, payload: buffer.subarray(start, at) });
    }
    this.#chunks = at < end ? [at === 0 ? buffer : buffer.subarray(at)] : [];
    this.#bytes = end - at;
  }
}
