const indexBits = 20;
const indexMask = 2 ** indexBits - 1;
const generations = 2 ** 10;

/** Gives numbers out: the low bits are small and used again, the high ones tell who had them before. */
export class Numbers {
  readonly #free: number[] = [];
  #count = 0;

  /** One that nobody has now, nor had in a long time: an answer to what was given up may still come. */
  claim(): number {
    return this.#free.pop() ?? this.#count++;
  }

  release(number: number): void {
    const generation = ((number >>> indexBits) + 1) % generations;
    this.#free.push(generation * 2 ** indexBits + (number & indexMask));
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
