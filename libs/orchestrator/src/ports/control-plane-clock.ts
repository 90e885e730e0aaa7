/** The control plane's own heartbeat on the database's clock: silence of nodes counts only while someone beats. */
export abstract class ControlPlaneClock {
  /**
   * Writes the beat; a gap of more than 5 s since the newest one (2 s at this process' first beat: it has just started) is recorded in the same
   * statement. Bounded: gaps are kept for a day.
   */
  abstract beat(): Promise<void>;
  /** Ends what is older than its retention: traffic samples, gaps, node history, idempotency keys. */
  abstract prune(): Promise<void>;
}
