import { Random } from './random.js';
import type { SimulatedProcess } from './simulated-process.js';

/** As the code under simulation found it: the loop itself runs on real turns. */
const realSetImmediate = globalThis.setImmediate;
/** Immediates that are queued together run one after the other, with all microtasks between them. */
const turnsAtOnce = 256;

export interface Scheduled {
  at: number;
  order: number;
  owner: SimulatedProcess;
  run: () => void;
  isCancelled: boolean;
}

/**
 * The one queue of everything that happens, ordered by simulated time. One event runs at a time, with all the microtasks that follow from it; whatever
 * these start belongs to the same process. The events of a process that has ended never happen, those of one that stands still happen later.
 */
export class Scheduler {
  /** Milliseconds since the simulation's start, of no process' clock. */
  now = 0;
  eventCount = 0;
  private orderCount = 0;
  private readonly heap: Scheduled[] = [];

  /** What the code under simulation draws. */
  readonly productRandom: Random;

  constructor(
    /** Whose event runs now. */
    public current: SimulatedProcess,
    random: Random,
  ) {
    this.productRandom = random.fork();
  }

  schedule(owner: SimulatedProcess, delayMilliseconds: number, run: () => void): Scheduled {
    const at = this.now + Math.max(0, delayMilliseconds);
    const event: Scheduled = { at, order: this.orderCount++, owner, run, isCancelled: false };
    this.push(event);
    return event;
  }

  /** Runs event after event, until `isOver`. `afterEach` sees the world when everything that follows from an event has happened. */
  run(isOver: () => boolean, afterEach: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let isEnded = false;
      const turn = () => {
        if (isEnded) return;
        try {
          afterEach();
          if (!isOver() && this.step()) return;
          isEnded = true;
          resolve();
        } catch (error) {
          isEnded = true;
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const batch = () => {
        if (isEnded) return;
        for (let count = 0; count < turnsAtOnce; count++) realSetImmediate(turn);
        realSetImmediate(batch);
      };
      batch();
    });
  }

  private step(): boolean {
    for (;;) {
      const event = this.pop();
      if (!event) return false;
      const { owner } = event;
      if (event.isCancelled || !owner.isAlive) continue;
      if (owner.frozenUntil > event.at) {
        event.at = owner.frozenUntil;
        event.order = this.orderCount++;
        this.push(event);
        continue;
      }
      this.now = Math.max(this.now, event.at);
      this.current = owner;
      this.eventCount++;
      event.run();
      return true;
    }
  }

  private push(event: Scheduled): void {
    const { heap } = this;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  private pop(): Scheduled | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
