import type { Duplex } from 'node:stream';
import { isArrayBuffer } from 'node:util/types';
import type { MessagePort, Worker } from 'node:worker_threads';

/** What carries batches of frames between kernel and instance, in order. Its end is told once, whoever ends it. */
export interface Wire {
  /** Bodies of more bytes than this in all are cheaper sent as they are than copied into their batch. */
  readonly joinedBytesMax: number;
  /** Memory for a batch. */
  allocate(bytes: number): Buffer;
  /** Neither the batch nor the bodies that follow it must be touched afterwards. After the end they are dropped. */
  send(batch: Buffer, bodies: readonly Uint8Array[]): void;
  /** Of what was sent, what the other end has not taken yet. */
  readonly bufferedBytes: number;
  /** Ends it, dropping what is not read yet. */
  close(): void;
  listen(onBytes: (bytes: Buffer) => void, onEnd: () => void): void;
}

/** Between processes. */
export class SocketWire implements Wire {
  readonly joinedBytesMax = 4096;

  constructor(private readonly socket: Duplex) {}

  allocate(bytes: number): Buffer {
    return Buffer.allocUnsafe(bytes);
  }

  send(batch: Buffer, bodies: readonly Uint8Array[]): void {
    const { socket } = this;
    if (!socket.writable) return;
    if (bodies.length === 0) return void socket.write(batch);
    // One system call for all.
    socket.cork();
    socket.write(batch);
    for (const body of bodies) socket.write(body);
    socket.uncork();
  }

  get bufferedBytes(): number {
    return this.socket.writableLength;
  }

  close(): void {
    this.socket.destroy();
  }

  listen(onBytes: (bytes: Buffer) => void, onEnd: () => void): void {
    let isOver = false;
    const end = () => {
      if (!isOver) onEnd();
      isOver = true;
    };
    this.socket.on('data', onBytes);
    this.socket.once('end', end);
    this.socket.once('close', end);
    // An instance may have ended before anybody listened.
    if (this.socket.closed) process.nextTick(end);
  }
}

/** Between threads: a batch changes hands without being copied. */
export class PortWire implements Wire {
  /** A batch is one piece of memory that is handed over. */
  readonly joinedBytesMax = Infinity;

  #sentBytes = 0;
  /** Where in `takenBytes` this end counts, and where the other does. */
  readonly #own: number;
  readonly #other: number;

  /** @param takenBytes how many bytes each end has taken, modulo 2^32, in memory that both share: a port does not tell what lies in it. */
  constructor(
    private readonly port: MessagePort | Worker,
    private readonly takenBytes: Int32Array,
  ) {
    [this.#own, this.#other] = 'terminate' in port ? [0, 1] : [1, 0];
  }

  /** Of its own, not of the pool: it is handed over. */
  allocate(bytes: number): Buffer {
    return Buffer.allocUnsafeSlow(bytes);
  }

  get bufferedBytes(): number {
    return (this.#sentBytes - Atomics.load(this.takenBytes, this.#other)) | 0;
  }

  send(batch: Buffer): void {
    this.#sentBytes = (this.#sentBytes + batch.length) | 0;
    this.port.postMessage(batch.buffer, [batch.buffer as ArrayBuffer]);
  }

  close(): void {
    if ('terminate' in this.port) void this.port.terminate();
    else this.port.close();
  }

  listen(onBytes: (bytes: Buffer) => void, onEnd: () => void): void {
    this.port.on('message', (batch: unknown) => {
      // A module in the thread may post whatever it likes.
      if (!isArrayBuffer(batch)) return this.close();
      Atomics.add(this.takenBytes, this.#own, batch.byteLength);
      onBytes(Buffer.from(batch));
    });
    // A worker's port ends with the worker.
    if ('terminate' in this.port) this.port.once('exit', onEnd);
    else this.port.once('close', onEnd);
  }
}
