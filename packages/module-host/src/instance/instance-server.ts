import { deserialize, serialize } from 'node:v8';
import type { Module, ModuleContext, ModuleEnv } from '@hotswap/module-kit';
import { stateBytesMax } from '../wire/batch.js';
import { frameTypes, type Frame } from '../wire/frame.js';
import { FrameReader } from '../wire/frame-reader.js';
import { FrameWriter } from '../wire/frame-writer.js';
import { parseJson, type InstanceCall, type InstanceStatistics, type LoadResult } from '../wire/messages.js';
import { Slots } from '../wire/slots.js';
import type { Wire } from '../wire/wire.js';
import { deepFreeze, importModule } from './module.js';
import { ServedRequest } from './served-request.js';

/** The kernel takes no longer answer than 1 MiB, and tells less than this of a failure. */
const messageLengthMax = 10_000;

/** The instance's end of the wire: does what the kernel asks, with the module that the first call loads. */
export class InstanceServer {
  #served: { module: Module; env: ModuleEnv } | null = null;
  readonly #requests = new Slots<ServedRequest>();
  /** Begun when their batch is read: what of their bodies came with them is then there. */
  #arrived: ServedRequest[] = [];
  readonly #background = new Set<Promise<unknown>>();
  #isCalled = false;
  readonly #writer: FrameWriter;
  readonly #context: ModuleContext = { waitUntil: (promise) => this.#keepAlive(promise) };

  constructor(
    wire: Wire,
    private readonly takeStatistics: () => InstanceStatistics,
    onEnd: () => void,
  ) {
    this.#writer = new FrameWriter(wire);
    const reader = new FrameReader(
      2 ** 30,
      (frame) => this.#receive(frame),
      () => this.#begin(),
    );
    wire.listen((bytes) => reader.push(bytes), onEnd);
  }

  /** The kernel has asked for something. */
  get isCalled(): boolean {
    return this.#isCalled;
  }

  #receive(frame: Frame): void {
    if (frame.type === frameTypes.request) this.#accept(new ServedRequest(frame, this.#writer));
    else if (frame.type === frameTypes.call) void this.#answerCall(frame.id, parseJson(frame.body) as InstanceCall);
    else if (frame.type === frameTypes.restore) void this.#restore(frame.id, frame.body as Buffer);
    else this.#requests.get(frame.id)?.receive(frame);
  }

  #accept(request: ServedRequest): void {
    this.#requests.set(request.id, request);
    this.#arrived.push(request);
  }

  #begin(): void {
    const arrived = this.#arrived;
    if (arrived.length === 0) return;
    this.#arrived = [];
    for (const request of arrived) void this.#serve(request);
  }

  async #serve(request: ServedRequest): Promise<void> {
    const { module, env } = this.#loaded;
    await request.answer(module, env, this.#context);
    this.#requests.delete(request.id);
  }

  async #answerCall(id: number, call: InstanceCall): Promise<void> {
    this.#isCalled = true;
    await this.#tell(id, async () => {
      if (call.call === 'snapshot') this.#writer.write(frameTypes.done, id, '', await this.#snapshot());
      else this.#writer.writeJson(frameTypes.done, id, (await this.#call(call)) ?? null);
    });
  }

  async #restore(id: number, state: Buffer): Promise<void> {
    await this.#tell(id, async () => {
      const { module } = this.#loaded;
      if (module.restore === undefined) throw new Error('The default export has no function "restore".');
      await module.restore(deserialize(state));
      this.#writer.writeJson(frameTypes.done, id, null);
    });
  }

  async #snapshot(): Promise<Uint8Array> {
    const { module } = this.#loaded;
    if (module.snapshot === undefined) throw new Error('The default export has no function "snapshot".');
    const state = serialize(await module.snapshot());
    // The kernel would take it for a breach of the protocol, and end what serves.
    if (state.length > stateBytesMax)
      throw new Error(`The state has ${state.length} bytes; at most ${stateBytesMax} (64 MiB) can be handed over.`);
    return state;
  }

  async #tell(id: number, answer: () => Promise<void>): Promise<void> {
    try {
      await answer();
    } catch (error) {
      console.error(error);
      const message = error instanceof Error ? error.message : String(error);
      this.#writer.writeJson(frameTypes.failed, id, { message: message.slice(0, messageLengthMax) });
    }
  }

  async #call(call: Exclude<InstanceCall, { call: 'snapshot' }>): Promise<unknown> {
    switch (call.call) {
      case 'load':
        return this.#load(call.entryUrl, call.env);
      case 'start':
        return void (await this.#loaded.module.start?.(this.#loaded.env));
      case 'health':
        return void (await this.#loaded.module.health?.());
      case 'activate':
        return void (await this.#loaded.module.activate?.());
      case 'deactivate':
        return void (await this.#loaded.module.deactivate?.());
      case 'settle':
        while (this.#background.size > 0) await Promise.allSettled(this.#background);
        return;
      case 'stop':
        return void (await this.#loaded.module.stop?.());
      case 'ping':
        return this.takeStatistics();
    }
  }

  async #load(entryUrl: string, env: ModuleEnv): Promise<LoadResult> {
    const module = await importModule(entryUrl);
    this.#served = { module, env: deepFreeze(env) };
    return { functions: Object.keys(module) };
  }

  get #loaded(): { module: Module; env: ModuleEnv } {
    if (this.#served === null) throw new Error('No module is loaded.');
    return this.#served;
  }

  #keepAlive(promise: Promise<unknown>): void {
    const kept = Promise.resolve(promise)
      .catch((error: unknown) => console.error(error))
      .finally(() => this.#background.delete(kept));
    this.#background.add(kept);
  }
}
