import type { NodeDocument, TrafficSample } from '@hotswap/agent-protocol';
import {
  defaultPolicy,
  environments,
  type AnalysisEntry,
  type AnalysisMemory,
  type Deployment,
  type EnvironmentName,
  type EnvironmentRelease,
  type Evidence,
  type Instant,
  type KernelNodeFacts,
  type ListeningGap,
  type ModuleObservation,
  type NodeAssignment,
  type Policy,
  type Reason,
  type Release,
  type Stage,
} from '@hotswap/domain';
import type { NewEvent } from '@hotswap/orchestrator';

/** The tables whose rows have a key, by what a row is. */
interface KeyedRows {
  versions: VersionRow;
  /** By `recordKey`. */
  configurations: ConfigurationRow;
  environments: EnvironmentRow;
  deployments: DeploymentRow;
  stages: StageRow;
  evidence: EvidenceRow;
  analyses: AnalysisRow;
  idempotencyKeys: IdempotencyRow;
  /** By `recordKey`. */
  records: EnvironmentRelease;
  nodes: NodeRow;
}

type KeyedTables = { readonly [Table in keyof KeyedRows]: ReadonlyMap<string, KeyedRows[Table]> };

/** Rows are never changed, only replaced: whoever was given one keeps what it was, and a copy of the maps is a copy of the database. */
export interface Tables extends KeyedTables {
  readonly decisions: readonly DecisionRow[];
  readonly events: readonly EventRow[];
  readonly gaps: readonly ListeningGap[];
  readonly beatAt: Instant | null;
  readonly epoch: number;
}

export interface VersionRow {
  name: string;
  version: string;
  artifact: string;
  isWithdrawn: boolean;
  bytes: Buffer;
  bundles: unknown[];
}

export interface ConfigurationRow {
  revision: number;
  values: Release['configuration'];
}

export interface EnvironmentRow {
  policy: Policy;
  policyRevision: number;
  membershipRevision: number;
}

export interface DeploymentRow extends Omit<Deployment, 'supersedes'> {
  supersedes: string | null;
  nextLookAt: Instant | null;
  claimedUntil: Instant | null;
}

export interface StageRow extends Stage {
  deploymentId: string;
  module: string;
  isSuperseded: boolean;
}

export interface EvidenceRow extends Evidence {
  claimedUntil: Instant | null;
}

export interface AnalysisRow {
  revision: number;
  memory: AnalysisMemory;
  entries: readonly AnalysisEntry[];
}

export interface IdempotencyRow {
  bodyDigest: string;
  deploymentId: string;
  createdAt: Instant;
}

export type AssignmentRow = NodeAssignment & { traceparent: string | null };

export interface NodeRow extends Omit<KernelNodeFacts, 'assignments' | 'observations'> {
  secretHash: string;
  isDecommissioned: boolean;
  drainedBootId: string | null;
  reportSequence: number;
  refused: string | null;
  assignments: ReadonlyMap<string, AssignmentRow>;
  observations: ReadonlyMap<string, ModuleObservation>;
  document: NodeDocument;
}

export interface DecisionRow {
  deploymentId: string;
  stageId: string | null;
  at: Instant;
  kind: string;
  because: Reason;
}

export interface EventRow extends NewEvent {
  id: number;
  deploymentId: string;
  at: Instant;
}

/** One release's part of a node's report, at the time when it happened. */
export interface TrafficRow extends TrafficSample {
  at: Instant;
  nodeId: string;
  /** Of the node's own requests, not of its users'. */
  isProbe: boolean;
}

/** Thrown within a transaction: nothing is written, and `outcome` is the answer. */
export class Abandoned extends Error {
  constructor(readonly outcome: unknown) {
    super('The transaction was abandoned');
  }
}

/** Writes the tables of one transaction; each table is copied when it is first written. */
export class Writer {
  private readonly copied = new Set<keyof Tables>();

  constructor(
    private tables: Tables,
    readonly now: Instant,
  ) {}

  get read(): Tables {
    return this.tables;
  }

  set<Table extends keyof KeyedRows>(table: Table, key: string, row: KeyedRows[Table]): void {
    this.own(table).set(key, row);
  }

  append<K extends 'decisions' | 'events' | 'gaps'>(table: K, row: Tables[K][number]): void {
    this.replace(table, [...this.tables[table], row] as Tables[K]);
  }

  replace<K extends keyof Tables>(table: K, value: Tables[K]): void {
    this.tables = { ...this.tables, [table]: value };
  }

  private own<Table extends keyof KeyedRows>(table: Table): Map<string, KeyedRows[Table]> {
    const held = this.tables[table] as ReadonlyMap<string, KeyedRows[Table]>;
    if (this.copied.has(table)) return held as Map<string, KeyedRows[Table]>;
    this.copied.add(table);
    const copy = new Map(held);
    this.replace(table, copy as unknown as Tables[Table]);
    return copy;
  }
}

/**
 * The rows that the memory stores share, on a clock of their own. Transactions are serial: each sees all that ended before it, and none that is under
 * way. Postgres promises less; what it has to promise is what the contract tests hold both to.
 */
export class MemoryDatabase {
  tables: Tables = emptyTables();
  /** What nodes reported, by `recordKey`; no part of what a restore brings back. */
  readonly traffic = new Map<string, TrafficRow[]>();
  readonly blocks = new Map<string, { at: Instant; rows: TrafficRow[] }[]>();
  packedUntil = -1;
  /** Null: never. */
  restoredAt: Instant | null = null;
  private readonly wakeUps = new Set<() => void>();
  private idCount = 0;

  /** @param now milliseconds since 1970. @param onCommit sees the tables before and after each transaction that wrote. */
  constructor(
    readonly now: () => Instant,
    private readonly onCommit: (before: Tables, after: Tables) => void = () => undefined,
  ) {}

  /** All that `work` writes, or nothing where it throws; `Abandoned` gives its outcome. */
  transaction<T>(work: (writer: Writer) => T): T {
    const before = this.tables;
    const writer = new Writer(before, this.now());
    let outcome: T;
    try {
      outcome = work(writer);
    } catch (error) {
      if (error instanceof Abandoned) return error.outcome as T;
      throw error;
    }
    this.tables = writer.read;
    if (this.tables !== before) this.onCommit(before, this.tables);
    return outcome;
  }

  /** As a replica that is promoted, or a backup: what was committed since is lost. */
  restore(tables: Tables): void {
    this.tables = tables;
    this.restoredAt = this.now();
  }

  /** In order, and never given twice, not even after a restore. */
  nextId(): string {
    return `00000000-0000-7000-8000-${(++this.idCount).toString(16).padStart(12, '0')}`;
  }

  subscribe(wake: () => void): () => void {
    this.wakeUps.add(wake);
    return () => void this.wakeUps.delete(wake);
  }

  wake(): void {
    for (const wake of this.wakeUps) wake();
  }
}

export function recordKey(environment: EnvironmentName, module: string): string {
  return `${environment}/${module}`;
}

function emptyTables(): Tables {
  return {
    versions: new Map(),
    configurations: new Map(),
    environments: new Map(
      environments.map((name) => [name, { policy: defaultPolicy(name), policyRevision: 1, membershipRevision: 1 }]),
    ),
    deployments: new Map(),
    stages: new Map(),
    evidence: new Map(),
    analyses: new Map(),
    idempotencyKeys: new Map(),
    records: new Map(),
    nodes: new Map(),
    decisions: [],
    events: [],
    gaps: [],
    beatAt: null,
    epoch: 1,
  };
}
