/** What a checker saw that must never be. */
export interface Finding {
  /** A sentence. */
  rule: string;
  detail: string;
  /** Milliseconds since the simulation's start. */
  at: number;
}

/** A seed ends with its first finding: what follows it may follow from it. */
export class Findings {
  readonly all: Finding[] = [];

  constructor(private readonly now: () => number) {}

  add(rule: string, detail: string): void {
    this.all.push({ rule, detail, at: this.now() });
  }

  get any(): boolean {
    return this.all.length > 0;
  }
}

/** How often what happened: a simulation in which nothing happens finds nothing. */
export class Counts {
  readonly all = new Map<string, number>();

  add(what: string, count = 1): void {
    if (count > 0) this.all.set(what, (this.all.get(what) ?? 0) + count);
  }
}
