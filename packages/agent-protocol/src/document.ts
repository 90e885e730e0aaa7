/** A JSON object: configuration values and the like. */
export type JsonObject = { [key: string]: unknown };

/**
 * What a node needs to run one release: artifact plus configuration. Immutable; `digest` names the whole,
 * `artifact` the bytes (both `sha256:<64 hex digits>`).
 */
export interface ReleaseSpec {
  digest: string;
  module: string;
  version: string;
  artifact: string;
  configurationRevision: number;
  configuration: JsonObject;
}

/** The times and limits a node observes for one module; all from the environment's policy. */
export interface ModulePolicy {
  /** How long a replaced release stays started, so that the way back is a pointer flip. */
  warmSeconds: number;
  /** How long requests in flight may take to end after a flip; then they are cut, counted and reported. */
  drainSeconds: number;
}

/**
 * Smoke requests of the manifest that the node is to send to candidate and reference, where users send too few to compare them by. The same `id`
 * again goes on counting; another one begins anew.
 */
export interface ProbeOrder {
  id: string;
  /** At most; one waits for the answer of the one before. */
  requestsPerSecond: number;
  /** Then no more are sent. */
  requestsMax: number;
}

/**
 * What the orchestrator wants of one module on one node. The node serves `active`; of the requests it gives
 * `candidatePercent` (0-100) to `candidate` by chance. `candidate` at 0 % is loaded, started, healthy and smoke-tested, but unused.
 * With `twin`, a second, fresh instance of `active` is raised for the candidate's comparison and gets `candidatePercent` too. A candidate (or twin)
 * that is left out of a document and comes back in a later one is a fresh instance again.
 * `warm` releases are kept started but deactivated. `active: null` is the explicit wish that the module is absent.
 */
export interface ModuleAssignment {
  module: string;
  active: ReleaseSpec | null;
  candidate: ReleaseSpec | null;
  candidatePercent: number;
  /** Needs a candidate; above a share of 50 %, which leaves no room for as large a one, it gets no requests. Left out: false. */
  twin?: boolean;
  /** Left out: nothing is probed. */
  probe?: ProbeOrder;
  warm: ReleaseSpec[];
  /** Served instead when `active` can't be started at boot. */
  fallback: ReleaseSpec | null;
  policy: ModulePolicy;
  /** W3C traceparent of the deployment that asked for this. */
  traceparent: string | null;
}

/**
 * A node's whole desired state. Each document replaces the one before. A module without an entry is left as it is.
 * A node refuses a lower (epoch, revision), and an equal one with other content.
 */
export interface NodeDocument {
  epoch: number;
  revision: number;
  modules: ModuleAssignment[];
  /** Boot id of the process that is to leave its traffic and stay, drained; a later boot of the node is not meant. Left out: none. */
  drainedBootId?: string;
}

/** Orders two documents by (epoch, revision): negative when `a` is older. */
export function compareDocuments(
  a: Pick<NodeDocument, 'epoch' | 'revision'>,
  b: Pick<NodeDocument, 'epoch' | 'revision'>,
): number {
  return a.epoch - b.epoch || a.revision - b.revision;
}
