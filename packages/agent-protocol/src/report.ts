/** `Starting -> Ready -> LameDuck -> Draining -> Gone`; `Lost` is the orchestrator's word for silence, a node never reports it. */
export type ReportedNodeState = 'Starting' | 'Ready' | 'LameDuck' | 'Draining' | 'Gone';

/**
 * Where one instance is in its life. `Ready`: started, healthy, smoke-tested, takes requests when routed to. `Warm`: was
 * active, is deactivated, started. `Failed`: could not be made ready (`error` says why, `failureKind` at which phase), or keeps dying.
 */
export type InstanceState =
  'Fetching' | 'Verifying' | 'Loading' | 'Starting' | 'Ready' | 'Active' | 'Warm' | 'Draining' | 'Failed';

export type FailureKind =
  | 'fetch'
  | 'digest'
  | 'signature'
  | 'artifact'
  /** The node has no memory left for it: says nothing about the version. */
  | 'memory'
  | 'load'
  | 'start'
  | 'health'
  | 'smoke'
  | 'activate'
  | 'crash-loop';

export const phaseNames = ['load', 'start', 'health', 'smoke', 'activate', 'drain', 'retire'] as const;
export type PhaseName = (typeof phaseNames)[number];
export type PhaseSeconds = Partial<Record<PhaseName, number>>;

export interface InstanceReport {
  /** Digest of the release. */
  release: string;
  version: string;
  /** True for the second instance of the active release. Left out: false. */
  twin?: boolean;
  state: InstanceState;
  error: string | null;
  failureKind: FailureKind | null;
  /** Times this release's process ended unasked since it was first started on this boot of the node. */
  crashes: number;
  pid: number | null;
  /** Whether its process (or thread) had been started ahead. Left out: it has none yet. */
  isSpare?: boolean;
  /** How long each phase that it has been through took. Left out: none yet. Its CPU time and memory are in the traffic. */
  phaseSeconds?: PhaseSeconds;
}

/** What it took to give a module's requests to another release. */
export interface SwapReport {
  /** Digest of the release that is active since. */
  release: string;
  /** Digest of the one before; null: none served. */
  from: string | null;
  /** From when the node was told to make it active until requests were given to it. */
  seconds: number;
  /** How the release was there when the node was told: started already (`waiting`), or started for it, in a spare process or a new one. */
  began: 'waiting' | 'spare' | 'new';
  /** Requests that waited while state changed hands. */
  held: number;
  /** Size of the state that was handed over; null: none was. */
  stateBytes: number | null;
  /** Requests in flight in the one before that ended by themselves, and that were cut; null: they have not ended yet. */
  drained: number | null;
  cut: number | null;
}

export interface ModuleReport {
  module: string;
  /** Digest of the release that the router gives requests to now; null: none. */
  active: string | null;
  /** Digest and share of the release that takes part of the requests now. */
  candidate: string | null;
  candidatePercent: number;
  /** True while a twin takes as large a share as the candidate (or could, at 0 %). Left out: false. */
  twin?: boolean;
  /** True while `active` is the document's fallback, because the document's own active release could not be started at boot. */
  servingFallback: boolean;
  /** The last time the active release changed on this boot of the node. Left out: it has not. */
  lastSwap?: SwapReport;
  instances: InstanceReport[];
}

/**
 * As what a release was given requests: `active`; `candidate` by its share; `twin`, a fresh instance of the active release that takes as large a share
 * as the candidate, to be compared with it.
 */
export const trafficRoles = ['active', 'candidate', 'twin'] as const;
export type TrafficRole = (typeof trafficRoles)[number];

/**
 * What one release experienced on one node in one closed interval. Counts are of this interval alone, by the router, at
 * the time of the answer. `sequence` rises by one per report of a boot, so that a repeated report is counted once.
 */
export interface TrafficSample {
  module: string;
  release: string;
  version: string;
  /** Left out: `active`. */
  role?: TrafficRole;
  requests: number;
  /** Answers 500-599, time-outs, and requests the instance never answered; answers that the module meant (4xx) are no failures. */
  failures: number;
  /** Counts per bucket of `latencyBucketSeconds`, one more than the bounds (the last: above). */
  latency: number[];
  latencySumSeconds: number;
  inFlight: number;
  /** CPU time of the instance's process in this interval; null where not known. */
  cpuSeconds: number | null;
  /** Resident memory of the instance's process at the end of the interval. */
  rssBytes: number | null;
  eventLoopDelaySeconds: number | null;
}

/** `POST /internal/v1/nodes/{id}/reports`, once a second and at once when something changed. */
export interface NodeReport {
  bootId: string;
  sequence: number;
  state: ReportedNodeState;
  /** (epoch, revision) of the document that the node is making true; null before the first. */
  accepted: { epoch: number; revision: number } | null;
  /** Set when the node refused the newest document it was sent: why. */
  refused: string | null;
  /**
   * True while the refused document has the number of the one in force and other content: the database was restored, and has come to that number by
   * another way. Left out: false.
   */
  diverged?: boolean;
  /** Seconds covered by `traffic`. */
  intervalSeconds: number;
  /** How long ago that interval ended when the report was sent; left out: it has just ended. */
  ageSeconds?: number;
  modules: ModuleReport[];
  traffic: TrafficSample[];
  /** What the node's own probes experienced: counted as `traffic` is, and no part of it. Left out: none were sent. */
  probes?: TrafficSample[];
  process: { cpuSeconds: number; rssBytes: number; eventLoopDelaySeconds: number };
  /** The memory that the node has for instances, and what is kept of it for those there are. Left out: not known. */
  memory?: { bytesMax: number; takenBytes: number };
}
