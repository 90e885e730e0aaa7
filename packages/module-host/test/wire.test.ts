import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CreditedReceiver, windowBytes } from '../src/wire/credit.js';
import { frameBytesMax, frameTypes, ProtocolError } from '../src/wire/frame.js';
import { FrameReader } from '../src/wire/frame-reader.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { SocketWire } from '../src/wire/wire.js';

function bytesOf(write: (writer: FrameWriter) => void): Buffer {
  const stream = new PassThrough({ highWaterMark: 2 ** 24 });
  const writer = new FrameWriter(new SocketWire(stream));
  write(writer);
  writer.flush();
  return (stream.read() as Buffer | null) ?? Buffer.alloc(0);
}

describe('Frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const frame = fc.record({
      type: fc.constantFrom(...Object.values(frameTypes)),
      id: fc.nat({ max: 2 ** 32 - 1 }),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 400 })),
        (frames, sizes) => {
          const bytes = bytesOf((writer) => frames.forEach(({ type, id, payload }) => writer.write(type, id, payload)));
          const read: unknown[] = [];
          const reader = new FrameReader(frameBytesMax, ({ type, id, payload }) =>
            read.push({ type, id, payload: new Uint8Array(payload) }),
          );
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length] ?? bytes.length;
            reader.push(bytes.subarray(at, (at += size)));
          }
          expect(read).toEqual(frames);
        },
      ),
    );
  });

  it('of an unknown type or a length beyond the limit are refused', () => {
    const reader = () => new FrameReader(1000, () => undefined);
    expect(() => reader().push(Buffer.from('what a kernel never expects'))).toThrow(ProtocolError);
    expect(() => reader().push(bytesOf((writer) => writer.write(frameTypes.body, 1, new Uint8Array(2000))))).toThrow(
      ProtocolError,
    );
    expect(() => reader().push(Buffer.from([0, 0, 0, 5, 99, 0, 0, 0, 1]))).toThrow(ProtocolError);
  });

  it('of a body beyond the credit are refused', () => {
    const receiver = new CreditedReceiver(new FrameWriter(new SocketWire(new PassThrough())), 1, () => undefined);
    receiver.push(new Uint8Array(windowBytes));
    expect(() => receiver.push(new Uint8Array(1))).toThrow(ProtocolError);
  });
});
