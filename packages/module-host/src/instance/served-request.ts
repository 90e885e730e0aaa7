import type { Module, ModuleContext, ModuleEnv } from '@hotswap/module-kit';
import { CreditedReceiver, CreditedSender, windowBytes } from '../wire/credit.js';
import { frameTypes, type Frame } from '../wire/frame.js';
import type { FrameWriter } from '../wire/frame-writer.js';
import { encodeResponseHead, RequestHead } from '../wire/head.js';
import { abortReason } from './abort-reason.js';
import { LightRequest } from './light-request.js';
import { LightResponse, type WholeResponse } from './light-response.js';

const NativeResponse = globalThis.Response;

/** One request in the module, until its answer is sent or is not wanted any more. */
export class ServedRequest {
  readonly id: number;
  readonly #head: RequestHead;
  readonly #receiver: CreditedReceiver | null;
  readonly #request: LightRequest;
  #sender: CreditedSender | null = null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #isGivenUp = false;
  #reason: Error | null = null;

  constructor(
    { id, head, isLast }: Frame,
    private readonly writer: FrameWriter,
  ) {
    this.id = id;
    this.#head = new RequestHead(head);
    this.#receiver = isLast ? null : new CreditedReceiver(writer, id, () => undefined);
    this.#request = new LightRequest(this.#head, this.#receiver);
  }

  receive({ type, head, body, isLast }: Frame): void {
    if (type === frameTypes.body) {
      if (body !== null) this.#receiver?.push(body as Uint8Array);
      if (isLast) this.#receiver?.end();
    } else if (type === frameTypes.credit) this.#sender?.grant(Number(head));
    else if (type === frameTypes.abort) this.#giveUp(String(body));
  }

  /** Never rejects: what goes wrong is told to the kernel. */
  async answer(module: Module, env: ModuleEnv, context: ModuleContext): Promise<void> {
    try {
      const response: unknown = await module.fetch(this.#request as unknown as Request, env, context);
      const whole = LightResponse.whole(response);
      if (whole === null || !this.#sendWhole(whole)) await this.#send(response);
    } catch (error) {
      if (this.#isGivenUp) return;
      console.error(error);
      this.writer.write(frameTypes.error, this.id);
    } finally {
      // Nothing more of it comes: who still reads, in work given to `waitUntil`, would wait for ever.
      if (this.#receiver?.isEnded === false) this.#receiver.fail(abortReason('The answer ended before the request.'));
    }
  }

  /** False: its body is too long to be sent without credit. */
  #sendWhole({ status, headers, body }: WholeResponse): boolean {
    if (this.#isGivenUp) return true;
    const sent = this.#head.method === 'HEAD' ? null : asciiOrBytes(body);
    if (sent !== null && sent.length > windowBytes) return false;
    this.writer.write(frameTypes.response, this.id, encodeResponseHead(status, headers), sent);
    return true;
  }

  /** @throws TypeError for anything but a Response whose body is still to be read. */
  async #send(response: unknown): Promise<void> {
    if (!(response instanceof NativeResponse)) throw new TypeError('"fetch" did not return a Response.');
    if (response.bodyUsed || response.body?.locked === true)
      throw new TypeError('"fetch" returned a Response whose body is already used.');
    if (response.type === 'error') throw new TypeError('"fetch" returned Response.error().');
    if (this.#isGivenUp) return void (await response.body?.cancel(this.#reason));
    const hasBody = response.body !== null && this.#head.method !== 'HEAD';
    // Every `set-cookie` is a header of its own.
    const head = encodeResponseHead(response.status, response.headers);
    this.writer.write(frameTypes.response, this.id, head, null, !hasBody);
    if (!hasBody) return void (await response.body?.cancel());
    const sender = (this.#sender = new CreditedSender(this.writer, this.id));
    const reader = (this.#reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const piece: unknown = next.value;
      if (!(piece instanceof Uint8Array)) throw new TypeError('The body of a Response gave something else than bytes.');
      if (!(await sender.send(piece))) return;
    }
    sender.end();
  }

  #giveUp(reason: string): void {
    const error = abortReason(reason);
    this.#isGivenUp = true;
    this.#reason = error;
    LightRequest.abort(this.#request, error);
    this.#sender?.stop();
    this.#receiver?.fail(error);
    // The source of the body learns of it too, even where it does not look at the request's signal.
    this.#reader?.cancel(error).catch(() => undefined);
  }
}

/** ASCII is most of what there is, and the same in UTF-8. */
function asciiOrBytes(body: WholeResponse['body']): WholeResponse['body'] {
  return typeof body === 'string' && Buffer.byteLength(body) !== body.length ? Buffer.from(body) : body;
}
