import type { Module, ModuleContext, ModuleEnv } from '@hotswap/module-kit';
import { CreditedReceiver, CreditedSender } from '../wire/credit.js';
import { frameTypes, type Frame } from '../wire/frame.js';
import type { FrameWriter } from '../wire/frame-writer.js';
import type { RequestHead } from '../wire/messages.js';
import { webRequest } from './web-request.js';
import { assertResponse, responseHead } from './web-response.js';

/** One request in the module, until its answer is sent or is not wanted any more. */
export class ServedRequest {
  readonly #abort = new AbortController();
  readonly #sender: CreditedSender;
  readonly #receiver: CreditedReceiver | null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;

  constructor(
    private readonly id: number,
    private readonly writer: FrameWriter,
    private readonly head: RequestHead,
  ) {
    this.#sender = new CreditedSender(writer, id);
    this.#receiver = head.hasBody ? new CreditedReceiver(writer, id, () => undefined) : null;
  }

  receive(frame: Frame): void {
    if (frame.type === frameTypes.body) this.#receiver?.push(frame.payload);
    else if (frame.type === frameTypes.end) this.#receiver?.end();
    else if (frame.type === frameTypes.credit) this.#sender.grant(frame.payload.readUInt32BE(0));
    else if (frame.type === frameTypes.abort) this.#give(frame.payload.toString('utf8'));
  }

  /** Never rejects: what goes wrong is told to the kernel. */
  async answer(module: Module, env: ModuleEnv, context: ModuleContext): Promise<void> {
    try {
      const request = webRequest(this.head, this.#receiver, this.#abort.signal);
      const response: unknown = await module.fetch(request, env, context);
      assertResponse(response);
      await this.#send(response);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      console.error(error);
      this.writer.write(frameTypes.error, this.id);
    }
  }

  async #send(response: Response): Promise<void> {
    if (this.#abort.signal.aborted) return void (await response.body?.cancel(this.#abort.signal.reason));
    const head = responseHead(response, this.head.method);
    this.writer.writeJson(frameTypes.head, this.id, head);
    if (!head.hasBody) return void (await response.body?.cancel());
    const reader = (this.#reader = response.body!.getReader());
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const piece: unknown = next.value;
      if (!(piece instanceof Uint8Array)) throw new TypeError('The body of a Response gave something else than bytes.');
      if (!(await this.#sender.send(piece))) return;
    }
    this.#sender.end();
  }

  #give(reason: string): void {
    const error = new DOMException(reason, 'AbortError');
    this.#abort.abort(error);
    this.#sender.stop();
    this.#receiver?.fail(error);
    // The source of the body learns of it too, even where it does not look at the request's signal.
    this.#reader?.cancel(error).catch(() => undefined);
  }
}
