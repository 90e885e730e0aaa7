/** What the test says to an orchestrator that it started. */
export type ToOrchestrator =
  /** Listen, and begin to reconcile. */
  { kind: 'serve' } | { kind: 'die-after'; /** Null: live on. */ point: string | null };

/** What it answers. */
export type FromOrchestrator =
  | { kind: 'prepared' }
  | { kind: 'serving' }
  | { kind: 'ordered' }
  /** Not for the commit that it dies of. */
  | { kind: 'committed'; point: string };
