import { LoadError } from './errors.js';

/** Who goes first where memory is short, and is let in last. What is `leaving` ends anyway, and is not asked. */
const ranks = { warm: 0, spare: 1, twin: 2, candidate: 3, active: 4, leaving: 4 } as const;
export type MemoryRole = keyof typeof ranks;

/** The highest rank that has to go for another: no module's candidate makes room for a release of another module. */
const rankToGoMax = ranks.twin;

export interface Tenant {
  readonly name: string;
  readonly memoryRole: MemoryRole;
  /** Its memory is needed: it ends, and gives its claim up when it has. */
  leave(because: string): void;
}

/** Memory that is kept for one tenant: what it may need, or what it was seen to use where that is more. */
export class Claim {
  bytes: number;
  isLeaving = false;
  readonly #gone = Promise.withResolvers<void>();

  constructor(
    readonly tenant: Tenant,
    private readonly bytesMin: number,
    private readonly onEnd: () => void,
  ) {
    this.bytes = bytesMin;
  }

  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  measure(bytes: number): void {
    this.bytes = Math.max(this.bytesMin, bytes);
  }

  end(): void {
    this.onEnd();
    this.#gone.resolve();
  }
}

/** Shares the memory that a node has for instances out among them. */
export class MemoryBudget {
  readonly #claims = new Set<Claim>();

  constructor(readonly bytesMax: number) {}

  /** By role, in bytes. */
  taken(): Record<MemoryRole, number> {
    const taken = { warm: 0, spare: 0, twin: 0, candidate: 0, active: 0, leaving: 0 };
    for (const { tenant, bytes, isLeaving } of this.#claims) taken[isLeaving ? 'leaving' : tenant.memoryRole] += bytes;
    return taken;
  }

  /**
   * Keeps memory for a tenant; where there is too little, others that matter less are asked to leave, least first. `vacated` resolves when they have.
   *
   * @throws LoadError of kind `memory`, with the numbers, where that is not enough; nobody is asked to leave then.
   */
  admit(tenant: Tenant, bytes: number): { claim: Claim; vacated: Promise<void> } {
    const rank = Math.min(ranks[tenant.memoryRole] - 1, rankToGoMax);
    const leaving = this.#leastOf(rank, this.#stayingBytes + bytes - this.bytesMax);
    if (leaving === null) throw new LoadError('memory', this.#explain(tenant, bytes));
    for (const each of leaving) this.#dismiss(each, `its memory is needed for ${tenant.name}`);
    return {
      claim: this.#add(tenant, bytes),
      vacated: Promise.all(leaving.map(({ gone }) => gone)).then(() => undefined),
    };
  }

  /** The same where nobody has to leave for it; else null. */
  admitWhereFree(tenant: Tenant, bytes: number): Claim | null {
    return this.#stayingBytes + bytes <= this.bytesMax ? this.#add(tenant, bytes) : null;
  }

  /** A tenant was seen to use so much. Where all together use too much by now, what is warm has to go, and spares after it. */
  measure(claim: Claim, bytes: number): void {
    claim.measure(bytes);
    const missing = this.#stayingBytes - this.bytesMax;
    if (missing <= 0) return;
    const leaving = this.#leastOf(ranks.spare, missing) ?? this.#upTo(ranks.spare);
    for (const each of leaving)
      this.#dismiss(each, 'the instances together use more memory than the node has for them');
  }

  #add(tenant: Tenant, bytes: number): Claim {
    const claim = new Claim(tenant, bytes, () => this.#claims.delete(claim));
    this.#claims.add(claim);
    return claim;
  }

  #dismiss(claim: Claim, because: string): void {
    claim.isLeaving = true;
    claim.tenant.leave(because);
  }

  /** Of what is not leaving yet. */
  get #stayingBytes(): number {
    let bytes = 0;
    for (const claim of this.#claims) if (!claim.isLeaving) bytes += claim.bytes;
    return bytes;
  }

  /** Those with the lowest rank, and of these the oldest, that together hold so much; null: all up to this rank hold less. */
  #leastOf(rankMax: number, bytes: number): Claim[] | null {
    const leaving: Claim[] = [];
    let missing = bytes;
    for (const claim of this.#upTo(rankMax)) {
      if (missing <= 0) break;
      leaving.push(claim);
      missing -= claim.bytes;
    }
    return missing <= 0 ? leaving : null;
  }

  /** Lowest rank first. */
  #upTo(rankMax: number): Claim[] {
    const rankOf = ({ tenant }: Claim) => ranks[tenant.memoryRole];
    return [...this.#claims]
      .filter((claim) => !claim.isLeaving && claim.tenant.memoryRole !== 'leaving' && rankOf(claim) <= rankMax)
      .sort((a, b) => rankOf(a) - rankOf(b));
  }

  #explain({ name, memoryRole }: Tenant, bytes: number): string {
    const mebibytes = (count: number) => Math.ceil(count / 2 ** 20);
    const taken = Object.entries(this.taken()).filter(([, count]) => count > 0);
    const all = taken.reduce((sum, [, count]) => sum + count, 0);
    const list = taken.map(([role, count]) => `${role} ${mebibytes(count)}`).join(', ');
    return `No room for ${name} as ${memoryRole}: it needs ${mebibytes(bytes)} MiB; of the node's ${mebibytes(this.bytesMax)} MiB ${mebibytes(all)} are taken${list && ` (${list})`}.`;
  }
}
