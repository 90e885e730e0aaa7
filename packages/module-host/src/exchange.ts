import type { Readable } from 'node:stream';
import { HostError, messageOf } from './errors.js';
import { headerOf, type AcceptedHead, type HostRequest, type Reply, type ResponseHeads } from './http.js';
import { CreditedReceiver, CreditedSender, windowBytes } from './wire/credit.js';
import { frameTypes, ProtocolError, type Frame } from './wire/frame.js';
import type { FrameWriter } from './wire/frame-writer.js';
import { encodeHeaders, encodeRequestHead } from './wire/head.js';

/** No batch is so big but one with a state in it. */
const plainBatchBytesMax = 256 * 1024;

export interface ExchangeLimits {
  requestSeconds: number;
  clientIdleSeconds: number;
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
  readonly #startedAt = performance.now();
  #lastReceivedAt = this.#startedAt;
  #head: AcceptedHead | null = null;
  #headAt: number | null = null;
  #bodyBytes = 0;
  #over = false;
  /** Of the request's body: its next piece is the client's to send, or the module's to take; or it is complete. */
  #bodyTurn: 'client' | 'module' | null = null;
  /** Where the answer does not come whole. */
  #receiver: CreditedReceiver | null = null;
  #sender: CreditedSender | null = null;

  /** @param onEnd called once; not before `send`. */
  constructor(
    private readonly id: number,
    private readonly writer: FrameWriter,
    private readonly heads: ResponseHeads,
    private readonly request: HostRequest,
    private readonly limits: ExchangeLimits,
    private readonly release: string,
    private readonly reply: Reply,
    private readonly onEnd: (result: ExchangeResult) => void,
  ) {}

  send(): void {
    const { method, url, headers, signal } = this.request;
    const head = encodeRequestHead(method, url, this.request.encodedHeaders ?? encodeHeaders(headers));
    const body = method === 'GET' || method === 'HEAD' ? null : this.request.body;
    signal.addEventListener('abort', this);
    this.writer.write(frameTypes.request, this.id, head, null, body === null);
    if (body !== null) this.#sendBody(body, Number(headerOf(headers, 'content-length') ?? Infinity));
  }

  /** The client has gone. */
  handleEvent(): void {
    this.#leave();
  }

  /**
   * Ends it where the module has not answered in time, or the client does not send. A client that is slow to send takes nothing of the module's time.
   * Answers when to look again, in ms; null: never.
   */
  checkDeadline(now: number): number | null {
    const { requestSeconds, clientIdleSeconds } = this.limits;
    if (this.#over || (this.#headAt !== null && this.#bodyTurn === null)) return null;
    const remaining = (seconds: number) => this.#lastReceivedAt + seconds * 1000 - now;
    if (this.#bodyTurn === 'client') {
      if (remaining(clientIdleSeconds) <= 1) return this.#refuseIdle();
    } else if (this.#headAt === null) {
      if (remaining(requestSeconds) > 1) return remaining(requestSeconds);
      this.fail('deadline-exceeded', `${this.release} did not answer within ${requestSeconds} s.`);
      return null;
    }
    // What it is that is waited for may change at any time.
    return Math.min(clientIdleSeconds, requestSeconds) * 1000;
  }

  /** @throws ProtocolError for what an instance must not send. */
  receive(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.response:
        return this.#receiveResponse(frame);
      case frameTypes.body:
        return this.#receiveBody(frame);
      case frameTypes.error:
        return this.fail('module-failed', `${this.release} failed while it answered; its log says why.`);
      case frameTypes.credit:
        return this.#grant(frame.head);
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

  /** @throws ProtocolError */
  #receiveResponse({ head: text, body, isLast }: Frame): void {
    if (this.#headAt !== null) throw new ProtocolError('A second head came.');
    if (body !== null && !isLast) throw new ProtocolError('A head came with a part of its body.');
    if (body !== null && body.length > windowBytes)
      throw new ProtocolError('A head came with more body than may be sent without credit.');
    const head = this.heads.accept(text);
    if (head === null) return this.fail('module-failed', `${this.release} answered with an unusable status or header.`);
    const { status, headers, contentLength } = head;
    const isBare = this.request.method === 'HEAD' || status === 204 || status === 304;
    this.#head = isBare ? { ...head, contentLength: null } : head;
    this.#headAt = performance.now();
    if (isLast) {
      this.#bodyBytes = body?.length ?? 0;
      if (!isBare && (contentLength ?? this.#bodyBytes) !== this.#bodyBytes) return this.#failLength();
      this.#end('answered');
    } else this.#receiver = new CreditedReceiver(this.writer, this.id, () => this.#leave());
    // Most clients take it at once, and a copy would be for nothing; but one that is slow must not keep a state in memory.
    const isAmongMuch = body instanceof Uint8Array && body.buffer.byteLength > plainBatchBytesMax;
    const whole = isAmongMuch ? held(body) : body;
    this.reply.respond({ status, headers, body: isBare ? null : (whole ?? this.#receiver), release: this.release });
    if (isBare) this.#leave();
  }

  /** @throws ProtocolError */
  #receiveBody({ body, isLast }: Frame): void {
    if (this.#head === null || this.#receiver === null) throw new ProtocolError('A body came before its head.');
    const bytes = body === null ? null : held(typeof body === 'string' ? Buffer.from(body, 'latin1') : body);
    this.#bodyBytes += bytes?.length ?? 0;
    const announced = this.#head.contentLength ?? this.#bodyBytes;
    if (this.#bodyBytes > announced || (isLast && this.#bodyBytes < announced)) return this.#failLength();
    if (bytes !== null) this.#receiver.push(bytes);
    if (!isLast) return;
    this.#receiver.end();
    this.#end('answered');
  }

  /** @throws ProtocolError */
  #grant(bytes: string): void {
    if (!/^[1-9]\d{0,6}$/.test(bytes)) throw new ProtocolError('Credit is not a number of bytes.');
    this.#sender?.grant(Number(bytes));
  }

  /** A client that keeps its connection would misread the answer after this one. */
  #failLength(): void {
    const announced = this.#head?.contentLength ?? 0;
    const how = this.#bodyBytes > announced ? 'more' : 'less';
    this.fail('module-failed', `${this.release} sent ${how} than its content-length of ${announced} bytes.`);
  }

  /** Reads the request's body to its end even where the module wants no more of it: else its connection could not go on. */
  #sendBody(body: Readable, contentLength: number): void {
    const sender = (this.#sender = new CreditedSender(this.writer, this.id));
    let bytes = 0;
    let waiting: Promise<unknown> | null = null;
    this.#bodyTurn = 'client';
    const onData = (piece: Uint8Array) => {
      bytes += piece.length;
      this.#lastReceivedAt = performance.now();
      if (bytes > this.limits.requestBodyBytesMax) {
        leave();
        this.#refuseBody();
      } else if (!sender.trySend(piece, bytes === contentLength)) {
        body.pause();
        this.#bodyTurn = 'module';
        waiting = sender.send(piece).then(() => {
          waiting = null;
          this.#lastReceivedAt = performance.now();
          this.#bodyTurn &&= 'client';
          body.resume();
        });
      }
    };
    const onEnd = () => {
      this.#bodyTurn = null;
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

  /** Nobody's failure. */
  #refuseIdle(): null {
    const message = `The client sent nothing of its request for ${this.limits.clientIdleSeconds} s.`;
    this.#giveUp(new HostError('request-timeout', message, this.release), 'abandoned');
    return null;
  }

  #leave(): void {
    this.#giveUp(this.request.signal.reason ?? new Error('The answer is not wanted any more.'), 'abandoned');
  }

  #giveUp(error: unknown, outcome: ExchangeResult['outcome']): void {
    if (this.#over) return;
    this.writer.write(frameTypes.abort, this.id, '', Buffer.from(messageOf(error)));
    const isAnswered = this.#headAt !== null;
    this.#end(outcome === 'abandoned' && isAnswered ? 'answered' : outcome);
    if (this.#receiver === null) this.reply.fail(error);
    else this.#receiver.fail(error instanceof Error ? error : new Error(messageOf(error)));
  }

  #end(outcome: ExchangeResult['outcome']): void {
    if (this.#over) return;
    this.#over = true;
    this.request.signal.removeEventListener('abort', this);
    this.#sender?.stop();
    const failedStatus = this.#head !== null && this.#head.status >= 500;
    const seconds = ((this.#headAt ?? performance.now()) - this.#startedAt) / 1000;
    this.onEnd({ outcome: outcome === 'answered' && failedStatus ? 'failed' : outcome, seconds });
  }
}

/** What may wait for a slow client: a small part of what was received is copied, or it would keep all of that in memory. */
function held(body: Uint8Array): Uint8Array {
  return body.buffer.byteLength > 2 * body.length ? new Uint8Array(body) : body;
}
