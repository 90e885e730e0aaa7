/** A seeded source of chance: same seeds, same draws on every machine. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(...seeds: number[]) {
    [this.a, this.b, this.c] = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
    for (const seed of seeds) {
      this.a = (this.a ^ Math.imul(seed + 1, 0x85ebca6b)) | 0;
      for (let i = 0; i < 15; i++) this.next();
    }
  }

  /** Uniform in [0, 1) with 32 bits: a small fast counting generator (sfc32, Chris Doty-Humphrey's PractRand). */
  next(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4294967296;
  }

  /** Standard normal (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Student's t with 3 degrees of freedom, scaled to standard deviation 1. */
  heavyTailed(): number {
    const chi = this.normal() ** 2 + this.normal() ** 2 + this.normal() ** 2;
    return this.normal() / Math.sqrt(chi / 3) / Math.sqrt(3);
  }

  /** Inversion; above a mean of 30 the rounded normal. */
  poisson(mean: number): number {
    if (mean <= 0) return 0;
    if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    let chance = Math.exp(-mean);
    let left = this.next();
    let count = 0;
    while (left > chance && count < 200) {
      left -= chance;
      count += 1;
      chance *= mean / count;
    }
    return count;
  }

  /** Exact up to 100 trials or for a chance of 2 % and more; else the bounded Poisson. */
  binomial(trials: number, chance: number): number {
    if (trials === 0 || chance <= 0) return 0;
    if (chance >= 1) return trials;
    if (trials > 100 && chance < 0.02) return Math.min(trials, this.poisson(trials * chance));
    let count = 0;
    for (let i = 0; i < trials; i++) if (this.next() < chance) count += 1;
    return count;
  }
}
