/** What the test says to an orchestrator that it started. */
export type ToOrchestrator =
  /** Listen, and begin to reconcile. */
  | { kind: 'serve' }
  /** The first of these commits that it makes is its last. */
  | { kind: 'die-after'; points: readonly string[] };

/** What it answers. */
export type FromOrchestrator =
  | { kind: 'prepared' }
  | { kind: 'serving'; port: number }
  | { kind: 'ordered' }
  /** Not for the commit that it dies of. */
  | { kind: 'committed'; point: string };

/** A line that begins so tells of which commit it died. */
export const lastWords = 'died after ';
