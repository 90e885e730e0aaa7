import { defaultShape, type Enclose, type Enclosure, type Shape } from './enclosure.js';
import { MemoryBudget, type Claim, type MemoryRole, type Tenant } from './memory-budget.js';
import { Spares } from './spares.js';

const mebibyte = 2 ** 20;
/** What Node itself needs beside the heap that the manifest allows. */
const ownMiB = { process: 48, thread: 16 };

export interface QuartersOptions {
  enclose: Enclose;
  /** For all instances together. */
  memoryBytesMax: number;
  spareCountMax: number;
  spareSeconds: number;
}

/** Where an instance lives, and the memory that is kept for it. */
export interface Lodging {
  enclosure: Enclosure;
  claim: Claim;
  isSpare: boolean;
}

/** Gives instances what they run in: a spare where one of the right shape waits, a new one else; and neither where the node has no memory for it. */
export class Quarters {
  readonly #budget: MemoryBudget;
  readonly #spares: Spares;

  constructor(private readonly options: QuartersOptions) {
    const { enclose, memoryBytesMax, spareCountMax, spareSeconds } = options;
    this.#budget = new MemoryBudget(memoryBytesMax, () => this.#spares.refillWhereShort());
    this.#spares = new Spares(enclose, this.#budget, spareCountMax, spareSeconds, emptyBytesOf, defaultShape);
  }

  /** @throws LoadError of kind `memory`; the signal's reason when it is aborted while others make room; whatever `enclose` throws. */
  async take(tenant: Tenant, shape: Shape, signal: AbortSignal): Promise<Lodging> {
    const spare = this.#spares.take(shape);
    try {
      const bytes = shape.memoryMiB * mebibyte + emptyBytesOf(shape);
      const { claim, vacated } = this.#budget.admit(tenant, bytes, spare === null ? 0 : emptyBytesOf(shape));
      try {
        await this.#orAborted(vacated, signal);
        const enclosure = spare ?? this.options.enclose(shape);
        void enclosure.ended.then(() => claim.end());
        return { enclosure, claim, isSpare: spare !== null };
      } catch (error) {
        claim.end();
        throw error;
      }
    } catch (error) {
      spare?.kill();
      throw error;
    }
  }

  async #orAborted(vacated: Promise<void>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason as Error);
    signal.addEventListener('abort', abort);
    await Promise.race([vacated, aborted.promise]).finally(() => signal.removeEventListener('abort', abort));
  }

  measure(claim: Claim, rssBytes: number): void {
    this.#budget.measure(claim, rssBytes);
  }

  /** What instances are there for may have changed. */
  review(): void {
    this.#budget.review();
  }

  memory(): { bytesMax: number; taken: Record<MemoryRole, number> } {
    return { bytesMax: this.#budget.bytesMax, taken: this.#budget.taken() };
  }

  async close(): Promise<void> {
    await this.#spares.close();
  }
}

/** With nothing loaded. */
function emptyBytesOf({ isolation }: Shape): number {
  return ownMiB[isolation] * mebibyte;
}
