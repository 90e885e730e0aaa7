const indexBits = 20;
const indexMask = 2 ** indexBits - 1;
const generations = 2 ** 10;

/** At least so many wait to be used again, the one that was given back first at their head. */
const restingMin = 1024;

/**
 * Gives numbers out: the low bits are small and used again, the high ones tell who had them before.
 *
 * An answer to what was given up may still come, as long as the instance has not read that it was. Of what the kernel writes after that, so much
 * more than 16 MiB can't lie unread (see `InstanceLink.isCongested`): some 300,000 requests of the smallest size. A number comes again after a million.
 */
export class Numbers {
  #resting: number[] = [];
  /** Those before it were given out. */
  #head = 0;
  #count = 0;

  /** One that nobody has now, nor had for the last million claims. */
  claim(): number {
    const number = this.#resting[this.#head];
    if (number === undefined || this.#resting.length - this.#head < restingMin) return this.#count++;
    if (++this.#head === restingMin) {
      this.#resting = this.#resting.slice(this.#head);
      this.#head = 0;
    }
    return number;
  }

  release(number: number): void {
    const generation = ((number >>> indexBits) + 1) % generations;
    this.#resting.push(generation * 2 ** indexBits + (number & indexMask));
  }
}

/**
 * What is under way, by such a number. A Map would do, but V8 keeps each table that it has outgrown, with all that was in it then, until the next full
 * collection: of what comes and goes by the thousand a third grew old that way, which cost a quarter of the hop's time.
 */
export class Slots<T> implements Iterable<[number, T]> {
  size = 0;
  readonly #values: (T | null)[] = [];
  readonly #numbers: number[] = [];

  set(number: number, value: T): void {
    const index = number & indexMask;
    while (this.#values.length <= index) {
      this.#values.push(null);
      this.#numbers.push(0);
    }
    if (this.#values[index] === null) this.size++;
    this.#values[index] = value;
    this.#numbers[index] = number;
  }

  get(number: number): T | undefined {
    const index = number & indexMask;
    return this.#numbers[index] === number ? (this.#values[index] ?? undefined) : undefined;
  }

  delete(number: number): void {
    if (this.get(number) === undefined) return;
    this.#values[number & indexMask] = null;
    this.size--;
  }

  values(): T[] {
    return this.#values.filter((value) => value !== null);
  }

  *[Symbol.iterator](): Generator<[number, T]> {
    for (const [index, value] of this.#values.entries()) if (value !== null) yield [this.#numbers[index] ?? 0, value];
  }
}
