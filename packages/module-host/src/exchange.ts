import type { Readable } from 'node:stream';
import { HostError, messageOf } from './errors.js';
import { acceptResponseHead, type AcceptedHead, type HostRequest, type HostResponse } from './http.js';
import { CreditedReceiver, CreditedSender } from './wire/credit.js';
import { frameTypes, ProtocolError, type Frame } from './wire/frame.js';
import type { FrameWriter } from './wire/frame-writer.js';
import { decodeResponseHead, encodeRequestHead } from './wire/head.js';
import type { ResponseHead } from './wire/messages.js';

export interface ExchangeLimits {
  requestSeconds: number;
  requestBodyBytesMax: number;
}

/** How an exchange ended, for the counters. `abandoned`: the client left before there was an answer. */
export interface ExchangeResult {
  outcome: 'answered' | 'failed' | 'refused' | 'abandoned';
  /** Until the head of the answer, or until there was none. */
  seconds: number;
}

/** One request in an instance, from the first frame until the answer's last, or until it is given up. */
export class Exchange {
  /** Rejects with a HostError, or with the request signal's reason when the client left. */
  readonly response: Promise<HostResponse>;
  readonly #startedAt = performance.now();
  #lastReceivedAt = this.#startedAt;
  #resolve!: (response: HostResponse) => void;
  #reject!: (error: unknown) => void;
  #head: AcceptedHead | null = null;
  #headAt: number | null = null;
  #bodyBytes = 0;
  #over = false;
  /** Made when the first of the answer's body comes. */
  #receiver: CreditedReceiver | null = null;
  readonly #sender: CreditedSender | null;
  readonly #onAbort = () => this.#leave();

  constructor(
    private readonly id: number,
    private readonly writer: FrameWriter,
    private readonly request: HostRequest,
    private readonly limits: ExchangeLimits,
    private readonly release: string,
    private readonly onEnd: (result: ExchangeResult) => void,
  ) {
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    request.signal.addEventListener('abort', this.#onAbort);
    const { method, url, headers } = request;
    const body = method === 'GET' || method === 'HEAD' ? null : request.body;
    writer.writeHead(frameTypes.request, id, encodeRequestHead({ method, url, headers, hasBody: body !== null }));
    this.#sender = body === null ? null : new CreditedSender(writer, id);
    if (body !== null) this.#sendBody(body, this.#sender!);
  }

  /** Until the deadline for the answer's head, in ms; null: it has come. A client that is slow to send takes nothing of the module's time. */
  remainingMilliseconds(now: number): number | null {
    if (this.#headAt !== null || this.#over) return null;
    return this.#lastReceivedAt + this.limits.requestSeconds * 1000 - now;
  }

  failDeadline(): void {
    this.fail('deadline-exceeded', `${this.release} did not answer within ${this.limits.requestSeconds} s.`);
  }

  /** @throws ProtocolError for what an instance must not send. */
  receive(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.head:
        return this.#receiveHead(decodeResponseHead(frame.payload, 0, frame.payload.length));
      case frameTypes.answer:
        return this.#receiveWhole(frame.payload);
      case frameTypes.body:
        return this.#receiveBody(frame.payload);
      case frameTypes.end:
        return this.#receiveEnd();
      case frameTypes.error:
        return this.fail('module-failed', `${this.release} failed while it answered; its log says why.`);
      case frameTypes.credit:
        return this.#sender?.grant(frame.payload.readUInt32BE(0));
      default:
        throw new ProtocolError(`A frame of type ${frame.type} is not the instance's to send.`);
    }
  }

  /** Ends the exchange without (the rest of) an answer, through the module's fault. */
  fail(code: 'module-failed' | 'deadline-exceeded', message: string): void {
    this.#giveUp(new HostError(code, message, this.release), 'failed');
  }

  /** Ends the exchange because the instance has to go: a failure only where there is no answer yet. */
  cut(): void {
    const error = new HostError(
      'module-failed',
      `${this.release} was replaced and did not end this request in time.`,
      this.release,
    );
    this.#giveUp(error, this.#headAt === null ? 'failed' : 'answered');
  }

  #receiveHead(sent: ResponseHead): void {
    const head = this.#accept(sent);
    if (head === null) return;
    const { status, headers, hasBody } = head;
    const isBare = this.#isBare(status);
    if (hasBody) this.#receiver = new CreditedReceiver(this.writer, this.id, () => this.#leave());
    this.#resolve({ status, headers, body: isBare ? null : this.#receiver, release: this.release });
    if (!hasBody) this.#receiveEnd();
    else if (isBare) this.#leave();
  }

  /** @throws ProtocolError */
  #receiveWhole(payload: Buffer): void {
    const bodyStart = payload.length < 4 ? Infinity : 4 + payload.readUInt32BE(0);
    if (bodyStart > payload.length) throw new ProtocolError("An answer's head is longer than the answer.");
    const head = this.#accept(decodeResponseHead(payload, 4, bodyStart));
    if (head === null) return;
    const { status, headers, hasBody } = head;
    const isBare = this.#isBare(status);
    this.#bodyBytes = payload.length - bodyStart;
    const length = head.contentLength ?? this.#bodyBytes;
    if (!isBare && length !== this.#bodyBytes) return this.#failLength(length < this.#bodyBytes ? 'more' : 'less');
    const body = hasBody && !isBare ? payload.subarray(bodyStart) : null;
    this.#resolve({ status, headers, body, release: this.release });
    this.#end('answered');
  }

  /** Null: the exchange has failed. @throws ProtocolError */
  #accept(sent: ResponseHead): AcceptedHead | null {
    if (this.#headAt !== null) throw new ProtocolError('A second head came.');
    const head = acceptResponseHead(sent);
    if (head === null) {
      this.fail('module-failed', `${this.release} answered with an unusable status or header.`);
      return null;
    }
    this.#head = this.#isBare(head.status) ? { ...head, contentLength: null } : head;
    this.#headAt = performance.now();
    return head;
  }

  #isBare(status: number): boolean {
    return this.request.method === 'HEAD' || status === 204 || status === 304;
  }

  #receiveBody(bytes: Buffer): void {
    if (this.#head === null || this.#receiver === null) throw new ProtocolError('A body came before its head.');
    this.#bodyBytes += bytes.length;
    if (this.#bodyBytes > (this.#head.contentLength ?? Infinity)) this.#failLength('more');
    else this.#receiver.push(bytes);
  }

  #receiveEnd(): void {
    if (this.#head === null) throw new ProtocolError('An answer ended before its head.');
    if (this.#bodyBytes < (this.#head.contentLength ?? 0)) return this.#failLength('less');
    this.#receiver?.end();
    this.#end('answered');
  }

  /** A client that keeps its connection would misread the answer after this one. */
  #failLength(how: 'more' | 'less'): void {
    this.fail(
      'module-failed',
      `${this.release} sent ${how} than its content-length of ${this.#head?.contentLength} bytes.`,
    );
  }

  /** Reads the request's body to its end even where the module wants no more of it: else its connection could not go on. */
  #sendBody(body: Readable, sender: CreditedSender): void {
    let bytes = 0;
    let waiting: Promise<unknown> | null = null;
    const onData = (piece: Uint8Array) => {
      bytes += piece.length;
      this.#lastReceivedAt = performance.now();
      if (bytes > this.limits.requestBodyBytesMax) {
        leave();
        this.#refuseBody();
      } else if (!sender.trySend(piece)) {
        body.pause();
        waiting = sender.send(piece).then(() => {
          waiting = null;
          body.resume();
        });
      }
    };
    const onEnd = () => {
      leave();
      // A stream may end while it is paused.
      if (waiting === null) sender.end();
      else void waiting.then(() => sender.end());
    };
    // The source broke off: so did the client.
    const onError = (error: unknown) => {
      leave();
      this.#giveUp(error, 'abandoned');
    };
    const leave = () => body.off('data', onData).off('end', onEnd).off('error', onError);
    body.on('data', onData).on('end', onEnd).on('error', onError);
  }

  #refuseBody(): void {
    const mebibytes = this.limits.requestBodyBytesMax / 1024 / 1024;
    this.#giveUp(
      new HostError('body-too-large', `${this.release} takes at most ${mebibytes} MiB.`, this.release),
      'refused',
    );
  }

  #leave(): void {
    this.#giveUp(this.request.signal.reason ?? new Error('The answer is not wanted any more.'), 'abandoned');
  }

  #giveUp(error: unknown, outcome: ExchangeResult['outcome']): void {
    if (this.#over) return;
    this.writer.write(frameTypes.abort, this.id, Buffer.from(messageOf(error)));
    this.#receiver?.fail(error instanceof Error ? error : new Error(messageOf(error)));
    this.#reject(error);
    this.#end(outcome === 'abandoned' && this.#headAt !== null ? 'answered' : outcome);
  }

  #end(outcome: ExchangeResult['outcome']): void {
    if (this.#over) return;
    this.#over = true;
    this.request.signal.removeEventListener('abort', this.#onAbort);
    this.#sender?.stop();
    const failedStatus = this.#head !== null && this.#head.status >= 500;
    const seconds = ((this.#headAt ?? performance.now()) - this.#startedAt) / 1000;
    this.onEnd({ outcome: outcome === 'answered' && failedStatus ? 'failed' : outcome, seconds });
  }
}
