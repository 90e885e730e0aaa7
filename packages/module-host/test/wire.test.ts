import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { batchBytesMax } from '../src/wire/batch.js';
import { CreditedReceiver, CreditedSender, windowBytes } from '../src/wire/credit.js';
import { frameTypes, ProtocolError, type Frame } from '../src/wire/frame.js';
import { FrameReader } from '../src/wire/frame-reader.js';
import { FrameWriter } from '../src/wire/frame-writer.js';
import { Numbers, Slots } from '../src/wire/slots.js';
import { SocketWire } from '../src/wire/wire.js';

function bytesOf(write: (writer: FrameWriter) => void): Buffer {
  const stream = new PassThrough({ highWaterMark: 2 ** 24 });
  const writer = new FrameWriter(new SocketWire(stream));
  write(writer);
  writer.flush();
  return sentOn(stream);
}

/** A batch may be sent in several pieces. */
function sentOn(stream: PassThrough): Buffer {
  const pieces: Buffer[] = [];
  for (let piece = stream.read() as Buffer | null; piece !== null; piece = stream.read() as Buffer | null)
    pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The frames, and after which of them a batch ended. */
function read(bytes: Buffer, sizes: number[]): { frames: Frame[]; ends: number[] } {
  const frames: Frame[] = [];
  const ends: number[] = [];
  const reader = new FrameReader(
    batchBytesMax,
    (frame) => frames.push(frame),
    () => ends.push(frames.length),
  );
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    reader.push(bytes.subarray(at, (at += size)));
  }
  return { frames, ends };
}

const frame: fc.Arbitrary<Frame> = fc.record({
  type: fc.constantFrom(...Object.values(frameTypes)),
  id: fc.nat({ max: 2 ** 30 - 1 }),
  head: fc.stringMatching(/^[\x00-\xff]{0,60}$/),
  body: fc.oneof(
    { weight: 5, arbitrary: fc.constant(null) },
    { weight: 5, arbitrary: fc.stringMatching(/^[\x00-\x7f]{0,60}$/) },
    { weight: 5, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
    // Too long to be one string with its head, or to be copied into the batch.
    { weight: 1, arbitrary: fc.integer({ min: 4090, max: 5000 }).map((bytes) => 'text'.repeat(bytes).slice(0, bytes)) },
    { weight: 1, arbitrary: fc.integer({ min: 4097, max: 5000 }).map((bytes) => Buffer.alloc(bytes, 'body')) },
  ),
  isLast: fc.boolean(),
});

describe('Frames', () => {
  it('come out as they went in, however many are in a batch and however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(frame, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 20_000 }))),
        (batches, sizes) => {
          const bytes = batches.map((frames) =>
            bytesOf((writer) =>
              frames.forEach(({ type, id, head, body, isLast }) => writer.write(type, id, head, body, isLast)),
            ),
          );
          const { frames, ends } = read(Buffer.concat(bytes), sizes);
          expect(frames).toEqual(batches.flat());
          expect(ends).toEqual(batches.map((_, at) => batches.slice(0, at + 1).flat().length));
        },
      ),
    );
  });

  it.each([100, 5000])(
    'have the bytes of their streams though these are detached before they are sent: %d',
    (bytes) => {
      const pieces = ['a', 'b'].map((letter) => new Uint8Array(Buffer.alloc(bytes, letter)));
      const sent = bytesOf((writer) => {
        pieces.forEach((piece, id) => void new CreditedSender(writer, id).send(piece));
        structuredClone(null, { transfer: [pieces[0]!.buffer] });
      });
      const bodies = read(sent, []).frames.map(({ body }) => String(body));
      expect(bodies).toEqual(['a'.repeat(bytes), 'b'.repeat(bytes)]);
    },
  );

  it('have all bytes of a piece that is detached while the rest of it waits for credit', async () => {
    const stream = new PassThrough({ highWaterMark: 2 ** 24 });
    const writer = new FrameWriter(new SocketWire(stream));
    const sender = new CreditedSender(writer, 1);
    const piece = new Uint8Array(Buffer.alloc(150_000, 'a'));
    const isSent = sender.send(piece);
    structuredClone(null, { transfer: [piece.buffer] });
    for (let grants = 0; grants < 2; grants++) {
      sender.grant(64 * 1024);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await isSent).toBe(true);
    writer.flush();
    const bodies = read(sentOn(stream), []).frames.map(({ body }) => String(body));
    expect(bodies.join('') === 'a'.repeat(150_000)).toBe(true);
  });

  it('are not kept back until the turn ends once there are many bytes of them', () => {
    const stream = new PassThrough({ highWaterMark: 2 ** 24 });
    const writer = new FrameWriter(new SocketWire(stream));
    writer.write(frameTypes.body, 1, '', new Uint8Array(10_000));
    expect(stream.readableLength).toBe(0);
    writer.write(frameTypes.body, 2, '', new Uint8Array(60_000));
    expect(read(sentOn(stream), []).frames.map(({ id }) => id)).toEqual([1, 2]);
  });

  it('of an unknown type, longer than their batch, or in a batch beyond the limit are refused', () => {
    const refuse = (bytes: Buffer, bytesMax = batchBytesMax) =>
      expect(() => new FrameReader(bytesMax, () => undefined).push(bytes)).toThrow(ProtocolError);
    const good = () => bytesOf((writer) => writer.write(frameTypes.body, 1, 'head', new Uint8Array(2000)));
    const spoilt = (at: number, value: number) => {
      const bytes = good();
      bytes.writeUInt32LE(value, at);
      return bytes;
    };
    expect(read(good(), []).frames).toHaveLength(1);
    refuse(Buffer.from('what a kernel never expects'));
    refuse(good(), 1000);
    // Number of frames; bytes of text; type; bytes of the head and of the body.
    for (const [at, value] of [
      [4, 1000],
      [8, 3000],
      [12, 99],
      [20, 5],
      [24, 2001],
    ] as const)
      refuse(spoilt(at, value));
  });

  it('cut anywhere or with any byte changed are read or refused, and never more than was sent', () => {
    const batch = bytesOf((writer) => {
      writer.write(frameTypes.response, 1, '200\na\nb', 'text');
      writer.write(frameTypes.body, 2, '', new Uint8Array([1, 2, 3]), false);
    });
    fc.assert(
      fc.property(fc.nat({ max: batch.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const bytes = Buffer.from(batch);
        bytes[at] = value;
        try {
          for (const { head, body } of read(bytes, []).frames)
            expect(head.length + (body?.length ?? 0)).toBeLessThanOrEqual(batch.length);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });

  it('of a body beyond the credit are refused', () => {
    const receiver = new CreditedReceiver(new FrameWriter(new SocketWire(new PassThrough())), 1, () => undefined);
    receiver.push(new Uint8Array(windowBytes));
    expect(() => receiver.push(new Uint8Array(1))).toThrow(ProtocolError);
  });
});

describe('A wire', () => {
  it('that has ended before anybody listened says so', async () => {
    const stream = new PassThrough();
    stream.destroy();
    await once(stream, 'close');
    await new Promise<void>((resolve) => new SocketWire(stream).listen(() => undefined, resolve));
  });
});

describe('What is under way', () => {
  it.each([1, 64])('has a number that comes again after a million others, with %d of them', (count) => {
    const numbers = new Numbers();
    const lastClaim = new Map<number, number>();
    const underWay: number[] = [];
    let soonest = Infinity;
    for (let claim = 0; claim < 1_300_000; claim++) {
      const number = numbers.claim();
      // Only those of few slots: a map of them all would be large.
      if ((number & 0xfffff) % 512 === 0) {
        soonest = Math.min(soonest, claim - (lastClaim.get(number) ?? -Infinity));
        lastClaim.set(number, claim);
      }
      underWay.push(number);
      if (underWay.length === count) for (const each of underWay.splice(0)) numbers.release(each);
    }
    expect(soonest).toBeLessThan(Infinity);
    expect(soonest).toBeGreaterThan(1_000_000);
  });

  it('is found by its number alone, as in a Map, and numbers do not come again soon', () => {
    const step = fc.oneof(fc.constant(null), fc.nat({ max: 20 }));
    let reused = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const [numbers, slots, model] = [new Numbers(), new Slots<object>(), new Map<number, object>()];
        const gone = new Set<number>();
        for (const step of steps) {
          if (step === null) {
            const number = numbers.claim();
            const value = {};
            expect(gone.has(number) || model.has(number)).toBe(false);
            slots.set(number, value);
            model.set(number, value);
          } else {
            const number = [...model.keys()][step % Math.max(1, model.size)];
            if (number === undefined) continue;
            slots.delete(number);
            model.delete(number);
            numbers.release(number);
            gone.add(number);
          }
          if (gone.size > 0 && model.size > 0) reused++;
          expect(slots.size).toBe(model.size);
          expect(new Map(slots)).toEqual(model);
          expect(new Set(slots.values())).toEqual(new Set(model.values()));
          for (const number of gone) expect(slots.get(number)).toBeUndefined();
        }
      }),
    );
    expect(reused).toBeGreaterThan(1000);
  });
});
