/** What a version of a module does; each is a way in which versions go wrong in earnest. */
export type Behaviour =
  | { kind: 'good' }
  /** The phase in which it fails, on every node. */
  | { kind: 'unloadable'; phase: 'load' | 'start' | 'health' }
  /** Its process ends so long after it was activated. */
  | { kind: 'crashing'; afterMilliseconds: number }
  /** `activate` fails. */
  | { kind: 'inactivable' }
  /** Answers this share of requests with 500. */
  | { kind: 'failing'; share: number }
  /** Its event loop stands still so long after it was activated. */
  | { kind: 'hanging'; afterMilliseconds: number }
  /** Its requests take so long. */
  | { kind: 'slow'; milliseconds: number }
  /** Signed by nobody whom the nodes trust, though the control plane does. */
  | { kind: 'untrusted-on-nodes' }
  /** Signed by nobody. */
  | { kind: 'unsigned' };

export interface SimulatedVersion {
  module: string;
  version: string;
  artifact: string;
  /** Digest of its release: nobody configures it. */
  release: string;
  behaviour: Behaviour;
  /** How long its process takes to load and start. */
  startMilliseconds: number;
}

/** What runs of such a version is known to be right: whatever goes wrong with it is HotSwap's doing. */
export function isSound({ behaviour }: SimulatedVersion): boolean {
  return behaviour.kind === 'good' || behaviour.kind === 'slow';
}

/** Whether a node's own trust file lets it run. */
export function isTrustedOnNodes({ behaviour }: SimulatedVersion): boolean {
  return behaviour.kind !== 'unsigned' && behaviour.kind !== 'untrusted-on-nodes';
}
