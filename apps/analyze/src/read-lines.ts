import { RecordingError, type Line } from '@hotswap/domain';
import { createReadStream } from 'node:fs';

/**
 * The lines of a UTF-8 file, one in memory at a time. Throws RecordingError for a line above `lineBytesMax` or bytes that
 * are not UTF-8, and Node's error for a file that cannot be read.
 */
export async function* readLines(file: string, lineBytesMax: number): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let bytes = 0;
  let number = 1;
  const take = (): Line => {
    const line = { number, text: decode(Buffer.concat(parts), number) };
    parts = [];
    bytes = 0;
    number += 1;
    return line;
  };
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    let from = 0;
    while (from <= chunk.length) {
      const newline = chunk.indexOf(0x0a, from);
      const part = chunk.subarray(from, newline === -1 ? chunk.length : newline);
      bytes += part.length;
      if (bytes > lineBytesMax) {
        throw new RecordingError(number, `is longer than ${lineBytesMax} bytes; one line holds one block`);
      }
      parts.push(part);
      if (newline === -1) break;
      yield take();
      from = newline + 1;
    }
  }
  if (bytes > 0) yield take();
}

function decode(bytes: Buffer, number: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RecordingError(number, 'is not UTF-8 text');
  }
}
