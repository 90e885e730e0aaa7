import { HostError, messageOf } from './errors.js';
import { acceptResponseHead, type AcceptedHead, type HostRequest, type HostResponse } from './http.js';
import { CreditedReceiver, CreditedSender } from './wire/credit.js';
import { frameTypes, ProtocolError, type Frame } from './wire/frame.js';
import type { FrameWriter } from './wire/frame-writer.js';
import { parseJson } from './wire/messages.js';

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
  #timer: NodeJS.Timeout;
  readonly #sender: CreditedSender;
  readonly #receiver: CreditedReceiver;
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
    this.#sender = new CreditedSender(writer, id);
    this.#receiver = new CreditedReceiver(writer, id, () => this.#leave());
    this.#timer = setTimeout(() => this.#checkDeadline(), limits.requestSeconds * 1000);
    request.signal.addEventListener('abort', this.#onAbort, { once: true });
    const body = request.method === 'GET' || request.method === 'HEAD' ? null : request.body;
    const { method, url, headers } = request;
    writer.writeJson(frameTypes.request, id, { method, url, headers, hasBody: body !== null });
    if (body !== null) void this.#sendBody(body);
  }

  /** @throws ProtocolError for what an instance must not send. */
  receive(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.head:
        return this.#receiveHead(frame.payload);
      case frameTypes.body:
        return this.#receiveBody(frame.payload);
      case frameTypes.end:
        return this.#receiveEnd();
      case frameTypes.error:
        return this.fail('module-failed', `${this.release} failed while it answered; its log says why.`);
      case frameTypes.credit:
        return this.#sender.grant(frame.payload.readUInt32BE(0));
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

  #receiveHead(payload: Buffer): void {
    if (this.#headAt !== null) throw new ProtocolError('A second head came.');
    const head = acceptResponseHead(parseJson(payload));
    if (head === null) return this.fail('module-failed', `${this.release} answered with an unusable status or header.`);
    const { status, headers, hasBody } = head;
    const isBare = this.request.method === 'HEAD' || status === 204 || status === 304;
    this.#head = isBare ? { ...head, contentLength: null } : head;
    this.#headAt = performance.now();
    clearTimeout(this.#timer);
    this.#resolve({ status, headers, body: hasBody && !isBare ? this.#receiver : null, release: this.release });
    if (!hasBody) this.#receiveEnd();
    else if (isBare) this.#leave();
  }

  #receiveBody(bytes: Buffer): void {
    if (this.#head === null) throw new ProtocolError('A body came before its head.');
    this.#bodyBytes += bytes.length;
    if (this.#bodyBytes > (this.#head.contentLength ?? Infinity)) this.#failLength('more');
    else this.#receiver.push(bytes);
  }

  #receiveEnd(): void {
    if (this.#head === null) throw new ProtocolError('An answer ended before its head.');
    if (this.#bodyBytes < (this.#head.contentLength ?? 0)) return this.#failLength('less');
    this.#receiver.end();
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
  async #sendBody(body: AsyncIterable<Uint8Array>): Promise<void> {
    const iterator = body[Symbol.asyncIterator]();
    let bytes = 0;
    try {
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        bytes += next.value.length;
        this.#lastReceivedAt = performance.now();
        if (bytes > this.limits.requestBodyBytesMax) return this.#refuseBody();
        await this.#sender.send(next.value);
      }
      this.#sender.end();
    } catch (error) {
      // The source broke off: so did the client.
      this.#giveUp(error, 'abandoned');
    }
  }

  #refuseBody(): void {
    const mebibytes = this.limits.requestBodyBytesMax / 1024 / 1024;
    this.#giveUp(
      new HostError('body-too-large', `${this.release} takes at most ${mebibytes} MiB.`, this.release),
      'refused',
    );
  }

  /** A client that is slow to send takes nothing of the module's time. */
  #checkDeadline(): void {
    const remaining = this.#lastReceivedAt + this.limits.requestSeconds * 1000 - performance.now();
    if (remaining > 1) this.#timer = setTimeout(() => this.#checkDeadline(), remaining);
    else this.fail('deadline-exceeded', `${this.release} did not answer within ${this.limits.requestSeconds} s.`);
  }

  #leave(): void {
    this.#giveUp(this.request.signal.reason ?? new Error('The answer is not wanted any more.'), 'abandoned');
  }

  #giveUp(error: unknown, outcome: ExchangeResult['outcome']): void {
    if (this.#over) return;
    this.writer.write(frameTypes.abort, this.id, Buffer.from(messageOf(error)));
    this.#receiver.fail(error instanceof Error ? error : new Error(messageOf(error)));
    this.#reject(error);
    this.#end(outcome === 'abandoned' && this.#headAt !== null ? 'answered' : outcome);
  }

  #end(outcome: ExchangeResult['outcome']): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.request.signal.removeEventListener('abort', this.#onAbort);
    this.#sender.stop();
    const failedStatus = this.#head !== null && this.#head.status >= 500;
    const seconds = ((this.#headAt ?? performance.now()) - this.#startedAt) / 1000;
    this.onEnd({ outcome: outcome === 'answered' && failedStatus ? 'failed' : outcome, seconds });
  }
}
