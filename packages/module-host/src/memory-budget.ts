import { LoadError } from './errors.js';

/** Who goes first where memory is short, and is let in last. What is `leaving` ends anyway, and is not asked. */
const ranks = { warm: 0, spare: 1, twin: 2, candidate: 3, active: 4, leaving: 4 } as const;
export type MemoryRole = keyof typeof ranks;

/** Above all of them. */
const awaitedRank = 5;

/** The highest rank that has to go for another: no module's candidate makes room for a release of another module. */
const rankToGoMax = ranks.twin;

export interface Tenant {
  readonly name: string;
  readonly memoryRole: MemoryRole;
  /** Users wait for it: there is nothing else that would answer them. */
  readonly isAwaited: boolean;
  /** Its memory is needed: it ends, and gives its claim up when it has. */
  leave(because: string): void;
}

/** Memory that is kept for one tenant: what it may need, or what it was seen to use where that is more. */
export class Claim {
  bytes: number;
  isLeaving = false;

  constructor(
    readonly tenant: Tenant,
    private readonly bytesMin: number,
    private readonly onChange: (claim: Claim, hasEnded: boolean) => void,
  ) {
    this.bytes = bytesMin;
  }

  measure(bytes: number): void {
    const before = this.bytes;
    this.bytes = Math.max(this.bytesMin, bytes);
    if (this.bytes < before) this.onChange(this, false);
  }

  /** Nothing of the tenant is left. */
  end(): void {
    this.onChange(this, true);
  }
}

interface Waiting {
  /** Of what it was promised, what it uses already. */
  presentBytes: number;
  enter(): void;
  refuse(error: LoadError): void;
}

/** Shares the memory that a node has for instances out among them. Whoever leaves still uses it until he is gone: those who were promised it wait, but for what users wait for. */
export class MemoryBudget {
  readonly #claims = new Set<Claim>();
  /** Promised memory that others have not left yet. */
  readonly #waiting = new Map<Claim, Waiting>();

  /** @param onFreed somebody has gone, but for a spare. Not when somebody uses less than before: he may use it again soon. */
  constructor(
    readonly bytesMax: number,
    private readonly onFreed: () => void = () => undefined,
  ) {}

  /** By role, in bytes. */
  taken(): Record<MemoryRole, number> {
    const taken = { warm: 0, spare: 0, twin: 0, candidate: 0, active: 0, leaving: 0 };
    for (const { tenant, bytes, isLeaving } of this.#claims) taken[isLeaving ? 'leaving' : tenant.memoryRole] += bytes;
    return taken;
  }

  /**
   * Keeps memory for a tenant; where there is too little, others that matter less are asked to leave, least first. `vacated` resolves when the memory is
   * there to be used; it rejects with a LoadError of kind `memory` where the tenant has to leave before, or the others have grown meanwhile.
   *
   * @param presentBytes of these that are in use already.
   * @throws LoadError of kind `memory`, with the numbers, where that is not enough; nobody is asked to leave then.
   */
  admit(tenant: Tenant, bytes: number, presentBytes = 0): { claim: Claim; vacated: Promise<void> } {
    const rank = Math.min(ranks[tenant.memoryRole] - 1, rankToGoMax);
    const leaving = this.#leastOf(rank, this.#stayingBytes + bytes - this.bytesMax);
    if (leaving === null) throw this.#refusal(tenant, bytes);
    const claim = this.#add(tenant, bytes);
    const vacated = new Promise<void>((enter, refuse) => this.#waiting.set(claim, { presentBytes, enter, refuse }));
    for (const each of leaving) this.#dismiss(each, `its memory is needed for ${tenant.name}`);
    this.#letIn();
    return { claim, vacated };
  }

  /** The same where the memory is there to be used at once; else null. */
  admitWhereFree(tenant: Tenant, bytes: number): Claim | null {
    return sumOf(this.#claims) + bytes <= this.bytesMax ? this.#add(tenant, bytes) : null;
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

  /** Somebody's role, or whether users wait for him, may be another by now. */
  review(): void {
    this.#letIn();
  }

  #add(tenant: Tenant, bytes: number): Claim {
    const claim = new Claim(tenant, bytes, (changed, hasEnded) => this.#freed(changed, hasEnded));
    this.#claims.add(claim);
    return claim;
  }

  #freed(claim: Claim, hasEnded: boolean): void {
    if (hasEnded) {
      this.#claims.delete(claim);
      this.#waiting.delete(claim);
    }
    this.#letIn();
    if (hasEnded && claim.tenant.memoryRole !== 'spare') this.onFreed();
  }

  #dismiss(claim: Claim, because: string): void {
    claim.isLeaving = true;
    const waiting = this.#waiting.get(claim);
    this.#waiting.delete(claim);
    claim.tenant.leave(because);
    waiting?.refuse(new LoadError('memory', `${claim.tenant.name} had to go: ${because}.`));
  }

  /** Whom users wait for goes first, then who matters most, and of these who came first. */
  #letIn(): void {
    if (this.#waiting.size === 0) return;
    const rankOf = ({ tenant }: Claim) => (tenant.isAwaited ? awaitedRank : ranks[tenant.memoryRole]);
    for (const [claim, waiting] of [...this.#waiting].sort(([a], [b]) => rankOf(b) - rankOf(a))) {
      const isFree =
        this.#presentBytesBeside(claim) + claim.bytes <= this.bytesMax ||
        // It shares what is promised to it with who is leaving, for as long as that takes.
        (claim.tenant.isAwaited && this.#stayingBytes <= this.bytesMax);
      if (!isFree && this.#isAnyoneOnTheWayOut) return;
      this.#waiting.delete(claim);
      if (isFree) waiting.enter();
      else {
        this.#claims.delete(claim);
        waiting.refuse(this.#refusal(claim.tenant, claim.bytes));
      }
    }
  }

  #presentBytesBeside(claim: Claim): number {
    let bytes = 0;
    for (const each of this.#claims) if (each !== claim) bytes += this.#waiting.get(each)?.presentBytes ?? each.bytes;
    return bytes;
  }

  get #isAnyoneOnTheWayOut(): boolean {
    return [...this.#claims].some(({ isLeaving, tenant }) => isLeaving || tenant.memoryRole === 'leaving');
  }

  get #stayingBytes(): number {
    return sumOf([...this.#claims].filter(({ isLeaving }) => !isLeaving));
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

  #refusal({ name, memoryRole }: Tenant, bytes: number): LoadError {
    const mebibytes = (count: number) => Math.ceil(count / 2 ** 20);
    const taken = Object.entries(this.taken()).filter(([, count]) => count > 0);
    const all = taken.reduce((sum, [, count]) => sum + count, 0);
    const list = taken.map(([role, count]) => `${role} ${mebibytes(count)}`).join(', ');
    return new LoadError(
      'memory',
      `No room for ${name} as ${memoryRole}: it needs ${mebibytes(bytes)} MiB; of the node's ${mebibytes(this.bytesMax)} MiB ${mebibytes(all)} are taken${list && ` (${list})`}.`,
    );
  }
}

function sumOf(claims: Iterable<Claim>): number {
  let bytes = 0;
  for (const claim of claims) bytes += claim.bytes;
  return bytes;
}
