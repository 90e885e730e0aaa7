/** C: the candidate. T: its twin, a stable instance of the same age. S: stable, the rest of the requests. */
export type Arm = 'C' | 'T' | 'S';

/** What one arm experienced on one node in one closed interval, counted by the router. */
export interface ArmSample {
  requests: number;
  /** Requests that failed or were never answered. */
  errors: number;
  /** Counts per latency bucket, one more than the bounds (the last: above all). */
  latency: readonly number[];
  /** CPU time of the arm's process since it was last given. */
  cpuSeconds?: number | null;
  /** Resident memory of the arm's process. */
  rssBytes?: number | null;
}

/** An arm that is off is left out. A negative count marks a counter that was reset. */
export interface NodeSample {
  id: string;
  arms: Partial<Record<Arm, ArmSample>>;
}

/** The experiment enters a stage: these nodes give `weight` (0-0.5) of their requests to C and as much to T. 0: contained. */
export interface StageEvent {
  kind: 'stage';
  at: number;
  /** Index in the plan. */
  stage: number;
  nodes: readonly string[];
  weight: number;
}

/** One closed interval that ends at `at`; it begins where the event before ended. */
export interface BlockEvent {
  kind: 'block';
  at: number;
  nodes: readonly NodeSample[];
}

/** The arms' processes were started anew on all nodes. */
export interface RestartEvent {
  kind: 'restart';
  at: number;
  arms: readonly Arm[];
}

/** In time order; `at` = seconds from the start of the deployment's stream. */
export type AnalysisEvent = StageEvent | BlockEvent | RestartEvent;
