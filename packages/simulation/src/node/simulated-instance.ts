import { Readable } from 'node:stream';
import type { Enclosure } from '@hotswap/module-host';
import { frameTypes, type Frame } from '@hotswap/module-host/wire/frame';
import { FrameReader } from '@hotswap/module-host/wire/frame-reader';
import { FrameWriter } from '@hotswap/module-host/wire/frame-writer';
import { encodeResponseHead } from '@hotswap/module-host/wire/head';
import { parseJson, type InstanceCall } from '@hotswap/module-host/wire/messages';
import type { Wire } from '@hotswap/module-host/wire/wire';
import type { SimulatedVersion } from '../behaviour.js';
import type { Random } from '../runtime/random.js';

const frameBytesMax = 2 ** 20;

/** What the simulation keeps an eye on in an instance. */
export interface InstanceWatch {
  onLoaded(instance: SimulatedInstance, version: SimulatedVersion): void;
  /** It ends, or stands still, by what its version does, not because it was told to. */
  onFault(instance: SimulatedInstance, version: SimulatedVersion): void;
}

/** An instance in no process of its own: a version's behaviour at the far end of the wire that the real host speaks. */
export class SimulatedInstance implements Enclosure {
  readonly pid = null;
  readonly output = { stdout: silence(), stderr: silence() };
  readonly ended: Promise<string>;
  readonly wire: Wire;
  isOver = false;
  private isHanging = false;
  private isActive = false;
  private readonly writer: FrameWriter;
  private tellEnd!: (how: string) => void;
  private toKernel: (bytes: Buffer) => void = () => undefined;
  private tellKernelOfEnd: () => void = () => undefined;

  /** Known from when it loads a version on: it is started before. */
  version: SimulatedVersion | null = null;

  constructor(
    private readonly find: (module: string, version: string) => SimulatedVersion,
    private readonly random: Random,
    private readonly watch: InstanceWatch,
  ) {
    this.ended = new Promise((resolve) => (this.tellEnd = resolve));
    const reader = new FrameReader(frameBytesMax, (frame) => this.receive(frame));
    const allocate = (bytes: number) => Buffer.allocUnsafe(bytes);
    const joinedBytesMax = Infinity;
    this.wire = {
      joinedBytesMax,
      allocate,
      bufferedBytes: 0,
      send: (batch) => {
        if (!this.isOver) reader.push(batch);
      },
      close: () => this.finish('ended with exit code 0'),
      listen: (onBytes, onEnd) => {
        this.toKernel = onBytes;
        this.tellKernelOfEnd = onEnd;
      },
    };
    this.writer = new FrameWriter({
      joinedBytesMax,
      allocate,
      bufferedBytes: 0,
      send: (batch) => {
        if (!this.isOver) this.toKernel(batch);
      },
      close: () => undefined,
      listen: () => undefined,
    });
  }

  async furnish(packageDirectory: string): Promise<string> {
    return packageDirectory;
  }

  kill(): void {
    this.finish('was ended by SIGKILL');
  }

  end(): Promise<string> {
    this.finish('ended with exit code 0');
    return this.ended;
  }

  private finish(how: string): void {
    if (this.isOver) return;
    this.isOver = true;
    // The kernel learns of it from the operating system, a little later.
    setTimeout(() => {
      this.tellKernelOfEnd();
      this.tellEnd(how);
    }, 1);
  }

  private receive(frame: Frame): void {
    if (this.isHanging) return;
    if (frame.type === frameTypes.request) this.serve(frame.id);
    else if (frame.type === frameTypes.call) this.answerCall(frame.id, parseJson(frame.body) as InstanceCall);
  }

  private serve(id: number): void {
    const { behaviour } = this.loaded;
    // Most answers are quick; some take seconds, as reports and uploads do.
    const milliseconds = this.random.chance(0.15) ? this.random.between(500, 4500) : this.random.between(2, 40);
    const isFailure = behaviour.kind === 'failing' && this.random.chance(behaviour.share);
    const head = encodeResponseHead(isFailure ? 500 : 200, []);
    setTimeout(
      () => {
        if (this.isOver || this.isHanging) return;
        this.writer.write(frameTypes.response, id, head);
        this.writer.flush();
      },
      behaviour.kind === 'slow' ? Math.max(milliseconds, behaviour.milliseconds) : milliseconds,
    );
  }

  private answerCall(id: number, call: InstanceCall): void {
    if (call.call === 'load') this.load(call.env);
    const milliseconds = call.call === 'load' || call.call === 'start' ? this.loaded.startMilliseconds / 2 : 1;
    setTimeout(() => {
      if (this.isOver || this.isHanging) return;
      if (this.fails(call)) {
        this.writer.writeJson(frameTypes.failed, id, { message: `${call.call} fails in this version` });
        return;
      }
      if (call.call === 'activate') this.activate();
      if (call.call === 'deactivate') this.isActive = false;
      this.writer.writeJson(frameTypes.done, id, answerOf(call));
    }, milliseconds);
  }

  private load({ module, version }: { module: string; version: string }): void {
    this.version = this.find(module, version);
    this.watch.onLoaded(this, this.version);
  }

  private get loaded(): SimulatedVersion {
    if (!this.version) throw new Error('Nothing is loaded');
    return this.version;
  }

  private fails({ call }: InstanceCall): boolean {
    const behaviour = this.version?.behaviour;
    return (
      (behaviour?.kind === 'unloadable' && behaviour.phase === call) ||
      (behaviour?.kind === 'inactivable' && call === 'activate')
    );
  }

  private activate(): void {
    const { behaviour } = this.loaded;
    this.isActive = true;
    if (behaviour.kind !== 'crashing' && behaviour.kind !== 'hanging') return;
    setTimeout(() => {
      if (!this.isActive || this.isOver) return;
      this.watch.onFault(this, this.loaded);
      if (behaviour.kind === 'hanging') this.isHanging = true;
      else this.finish('ended with exit code 1');
    }, behaviour.afterMilliseconds);
  }
}

function answerOf({ call }: InstanceCall): unknown {
  if (call === 'load') return { functions: ['start', 'health', 'activate', 'deactivate', 'stop'] };
  if (call === 'ping') return { cpuSeconds: 0, rssBytes: 50_000_000, eventLoopDelaySeconds: 0 };
  return null;
}

function silence(): Readable {
  return new Readable({ read: () => undefined });
}
