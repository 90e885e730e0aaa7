import { HostError, messageOf } from './errors.js';
import { Exchange, type ExchangeLimits, type ExchangeResult } from './exchange.js';
import { type HostRequest, type Reply, ResponseHeads } from './http.js';
import { batchBytesMax } from './wire/batch.js';
import { frameTypes, ProtocolError, type Frame } from './wire/frame.js';
import { FrameReader } from './wire/frame-reader.js';
import { FrameWriter } from './wire/frame-writer.js';
import { parseJson, type Failure, type InstanceCall } from './wire/messages.js';
import { Numbers, Slots } from './wire/slots.js';
import type { Wire } from './wire/wire.js';

/** Of the answer to a call, but for a state. */
const resultBytesMax = 2 ** 20;

/** Between two looks at the deadlines. */
const watchPauseMsMin = 10;

/** Of what an instance has not taken in yet, but for a state: beyond it gets no more requests. */
const bufferedBytesMax = 16 * 2 ** 20;

/** A call that the instance answered with a failure, did not answer in time, or can't answer because it has gone. */
export class CallError extends Error {
  override name = 'CallError';
  constructor(
    message: string,
    readonly isLate = false,
  ) {
    super(message);
  }
}

/** The kernel's end of the wire to an instance: calls and exchanges, told apart by number. Its end rejects all of them at once. */
export class InstanceLink {
  readonly exchanges = new Slots<Exchange>();
  readonly #exchangeNumbers = new Numbers();
  readonly #heads = new ResponseHeads();
  #calls = new Map<number, { what: string; resolve(result: Buffer): void; reject(error: Error): void }>();
  #lastCall = 0;
  #open = true;
  #closed: string | null = null;
  #deadlineTimer: NodeJS.Timeout | null = null;
  #restoringBytes = 0;
  readonly #writer: FrameWriter;
  readonly #whenIdle = new Set<() => void>();

  /** @param onClose the wire has ended; with the reason where the instance broke the protocol, null otherwise. */
  constructor(
    private readonly wire: Wire,
    private readonly release: string,
    private readonly onClose: (broken: string | null) => void,
  ) {
    this.#writer = new FrameWriter(wire);
    const reader = new FrameReader(batchBytesMax, (frame) => this.#receive(frame));
    wire.listen(
      (bytes) => {
        if (!this.#open) return;
        try {
          reader.push(bytes);
        } catch (error) {
          this.#close(messageOf(error));
        }
      },
      () => this.#close(null),
    );
  }

  get open(): boolean {
    return this.#open;
  }

  /** The instance is slower to take requests in than they come. */
  get isCongested(): boolean {
    return this.wire.bufferedBytes - this.#restoringBytes > bufferedBytesMax;
  }

  /** @throws CallError */
  async call(call: InstanceCall, timeoutSeconds: number): Promise<unknown> {
    const answer = await this.#ask(call.call, timeoutSeconds, (id) =>
      this.#writer.writeJson(frameTypes.call, id, call),
    );
    return parseJson(answer);
  }

  /** The module's state, as bytes that only `restore` understands. @throws CallError */
  async snapshot(timeoutSeconds: number): Promise<Buffer> {
    return this.#ask('snapshot', timeoutSeconds, (id) =>
      this.#writer.writeJson(frameTypes.call, id, { call: 'snapshot' } satisfies InstanceCall),
    );
  }

  /** @throws CallError */
  async restore(state: Buffer, timeoutSeconds: number): Promise<void> {
    this.#restoringBytes = state.length;
    await this.#ask('restore', timeoutSeconds, (id) => this.#writer.write(frameTypes.restore, id, '', state)).finally(
      () => (this.#restoringBytes = 0),
    );
  }

  async #ask(what: string, timeoutSeconds: number, write: (id: number) => void): Promise<Buffer> {
    if (!this.#open) throw new CallError(this.#closed ?? 'The instance has gone.');
    const id = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new CallError(`${what} took longer than ${timeoutSeconds} s.`, true));
      }, timeoutSeconds * 1000);
      this.#calls.set(id, {
        what,
        resolve: (result) => (clearTimeout(timer), resolve(result)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      write(id);
    });
  }

  /** @throws HostError where the instance has just ended. */
  exchange(request: HostRequest, limits: ExchangeLimits, reply: Reply, onEnd: (result: ExchangeResult) => void): void {
    if (!this.#open) throw new HostError('module-failed', `${this.release} has just ended.`, this.release);
    const id = this.#exchangeNumbers.claim();
    const exchange = new Exchange(id, this.#writer, this.#heads, request, limits, this.release, reply, (result) => {
      this.exchanges.delete(id);
      this.#exchangeNumbers.release(id);
      onEnd(result);
      if (this.exchanges.size === 0 && this.#whenIdle.size > 0) for (const wake of [...this.#whenIdle]) wake();
    });
    this.exchanges.set(id, exchange);
    exchange.send();
    if (this.#deadlineTimer === null) this.#watchDeadlines(Infinity, limits);
  }

  /** Resolves when no exchange is left, or when the signal is aborted. */
  async idle(signal: AbortSignal): Promise<void> {
    if (this.exchanges.size === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#whenIdle.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#whenIdle.add(done);
      signal.addEventListener('abort', done);
    });
  }

  /**
   * One timer for all: a timer of its own for each exchange is a noticeable part of what an exchange costs. It does not wait for the soonest deadline
   * where that is far: an exchange that begins meanwhile may have a sooner one.
   */
  #watchDeadlines(soonestMs: number, limits: ExchangeLimits): void {
    const pauseMsMax = Math.min(limits.requestSeconds, limits.clientIdleSeconds) * 1000;
    const pauseMs = Math.max(watchPauseMsMin, Math.min(soonestMs, pauseMsMax));
    this.#deadlineTimer = setTimeout(() => {
      this.#deadlineTimer = null;
      const now = performance.now();
      let soonest = Infinity;
      for (const exchange of [...this.exchanges.values()]) {
        soonest = Math.min(soonest, exchange.checkDeadline(now) ?? Infinity);
      }
      if (soonest < Infinity && this.#open) this.#watchDeadlines(soonest, limits);
    }, pauseMs);
  }

  /** What was given up may still be answered for a while. */
  #receive(frame: Frame): void {
    if (frame.type === frameTypes.done || frame.type === frameTypes.failed) this.#receiveResult(frame);
    else this.exchanges.get(frame.id)?.receive(frame);
  }

  /** @throws ProtocolError */
  #receiveResult({ type, id, body }: Frame): void {
    const call = this.#calls.get(id);
    // A state's only limit is that of a batch.
    const isState = type === frameTypes.done && call?.what === 'snapshot';
    if (call !== undefined && !isState && (body?.length ?? 0) > resultBytesMax)
      throw new ProtocolError(`The answer to ${call.what} is longer than ${resultBytesMax} bytes.`);
    this.#calls.delete(id);
    if (type === frameTypes.done) call?.resolve(Buffer.from(body ?? ''));
    else call?.reject(new CallError(String((parseJson(body) as Failure).message)));
  }

  #close(broken: string | null): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#deadlineTimer !== null) clearTimeout(this.#deadlineTimer);
    this.#closed = broken ?? 'The process ended.';
    for (const call of this.#calls.values()) call.reject(new CallError(this.#closed));
    this.#calls.clear();
    for (const exchange of [...this.exchanges.values()])
      exchange.fail('module-failed', `${this.release} ended before it had answered.`);
    this.onClose(broken);
    this.wire.close();
  }
}
