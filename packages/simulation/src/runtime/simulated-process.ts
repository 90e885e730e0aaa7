/** One operating-system process of the simulated world, or one machine where only its clock and disk matter. */
export class SimulatedProcess {
  isAlive = true;
  /** Stands still until then: a pause of its garbage collector, or of its machine. */
  frozenUntil = 0;

  constructor(
    readonly name: string,
    /** How its clocks differ from true time: so many milliseconds ahead, so many of its seconds to a true one. */
    readonly clock: { aheadMilliseconds: number; rate: number } = { aheadMilliseconds: 0, rate: 1 },
    /** What outlives it: file contents by path. */
    readonly disk: Disk = { files: new Map(), isFull: false },
  ) {}

  /** It ends at once: nothing that it had begun goes on. */
  kill(): void {
    this.isAlive = false;
  }
}

export interface Disk {
  readonly files: Map<string, string>;
  isFull: boolean;
}
