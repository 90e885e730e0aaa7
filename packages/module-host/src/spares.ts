import { isAlike, type Enclose, type Enclosure, type Shape } from './enclosure.js';
import type { Claim, MemoryBudget, Tenant } from './memory-budget.js';

interface Spare {
  shape: Shape;
  enclosure: Enclosure;
  claim: Claim;
}

/** Enclosures that are started before anybody asks for them, of the shapes that were asked for last: what is loaded most likely has one of these. */
export class Spares {
  readonly #spares: Spare[] = [];
  /** The last one asked for first. */
  #shapes: Shape[];
  #timer: NodeJS.Timeout | null = null;
  /** One is missing for want of memory. */
  #isShort = false;
  #isClosed = false;

  /** @param pauseSeconds after one was taken, until another is started: what was loaded into it goes first. */
  constructor(
    private readonly enclose: Enclose,
    private readonly budget: MemoryBudget,
    private readonly countMax: number,
    private readonly pauseSeconds: number,
    private readonly bytesOf: (shape: Shape) => number,
    firstShape: Shape,
  ) {
    this.#shapes = [firstShape];
    this.#refillSoon();
  }

  /** One of this shape, which is nobody's then; null: none is there. It may have ended a moment ago. */
  take(shape: Shape): Enclosure | null {
    this.#shapes = [shape, ...this.#shapes.filter((each) => !isAlike(each, shape))].slice(
      0,
      Math.max(this.countMax, 0),
    );
    this.#refillSoon();
    const spare = this.#spares.find((each) => isAlike(each.shape, shape));
    if (spare === undefined) return null;
    this.#forget(spare);
    return spare.enclosure;
  }

  /** There may be memory again for what there was none before. */
  refillWhereShort(): void {
    if (this.#isShort) this.#refillSoon();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all(this.#spares.map((spare) => this.#drop(spare)));
  }

  #refillSoon(): void {
    if (this.#isClosed || this.countMax === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#refill();
    }, this.pauseSeconds * 1000);
  }

  #refill(): void {
    this.#isShort = false;
    for (const spare of [...this.#spares])
      if (!this.#shapes.some((shape) => isAlike(shape, spare.shape))) void this.#drop(spare);
    for (const shape of this.#shapes)
      if (!this.#spares.some((spare) => isAlike(spare.shape, shape))) this.#start(shape);
  }

  /** Where there is memory to spare for it. */
  #start(shape: Shape): void {
    let leave = () => undefined as void;
    const tenant: Tenant = { name: 'a spare', memoryRole: 'spare', isAwaited: false, leave: () => leave() };
    const claim = this.budget.admitWhereFree(tenant, this.bytesOf(shape));
    if (claim === null) return void (this.#isShort = true);
    const enclosure = this.#tryToEnclose(shape);
    if (enclosure === null) return claim.end();
    const spare = { shape, enclosure, claim };
    leave = () => {
      this.#isShort = true;
      void this.#drop(spare);
    };
    this.#spares.push(spare);
    void spare.enclosure.ended.then(() => this.#forget(spare));
  }

  /** What can't be started now is not missed before it is asked for. */
  #tryToEnclose(shape: Shape): Enclosure | null {
    try {
      return this.enclose(shape);
    } catch {
      return null;
    }
  }

  #forget(spare: Spare): void {
    const at = this.#spares.indexOf(spare);
    if (at < 0) return;
    this.#spares.splice(at, 1);
    spare.claim.end();
  }

  async #drop(spare: Spare): Promise<void> {
    spare.enclosure.kill();
    await spare.enclosure.ended;
    this.#forget(spare);
    // Not where it ended by itself: the next one may do the same, again and again.
    this.refillWhereShort();
  }
}
