import type { FailureKind, InstanceState } from '@hotswap/agent-protocol';

/** Where one instance is in its life. Only the states named in `transitions` follow each other. */
export type Lifecycle =
  | { state: 'fetching' }
  | { state: 'verified' }
  | { state: 'loading' }
  | { state: 'loaded' }
  | { state: 'started' }
  | { state: 'ready' }
  | { state: 'active' }
  | { state: 'deactivated' }
  | { state: 'draining' }
  | { state: 'retired' }
  | { state: 'failed'; from: LifecycleState; kind: FailureKind | null; error: string };

export type LifecycleState = Lifecycle['state'];

export type LifecycleEvent =
  | { event: 'verified' }
  | { event: 'spawned' }
  | { event: 'loaded' }
  | { event: 'started' }
  /** Healthy, and every smoke request was answered as expected. */
  | { event: 'passed' }
  | { event: 'activated' }
  | { event: 'deactivated' }
  | { event: 'drain' }
  | { event: 'retired' }
  /** `kind: null`: the process ended unasked after it had been ready. */
  | { event: 'failed'; kind: FailureKind | null; error: string };

type Step = Exclude<LifecycleEvent['event'], 'failed'>;

/** Whose row has no entry for an event, that event is not possible. An instance that nobody wants any more retires from anywhere but `active`. */
const transitions: Record<LifecycleState, Partial<Record<Step, Exclude<LifecycleState, 'failed'>>>> = {
  fetching: { verified: 'verified', retired: 'retired' },
  verified: { spawned: 'loading', retired: 'retired' },
  loading: { loaded: 'loaded', retired: 'retired' },
  loaded: { started: 'started', retired: 'retired' },
  started: { passed: 'ready', retired: 'retired' },
  ready: { activated: 'active', drain: 'draining' },
  active: { deactivated: 'deactivated' },
  deactivated: { activated: 'active', drain: 'draining' },
  draining: { retired: 'retired' },
  retired: {},
  failed: {},
};

/** Thrown for an event that can't happen in a state: a mistake of this package, never of a module. */
export class LifecycleError extends Error {
  override name = 'LifecycleError';
}

/** The state after an event. @throws LifecycleError */
export function advance(lifecycle: Lifecycle, event: LifecycleEvent): Lifecycle {
  if (event.event === 'failed') {
    if (isOver(lifecycle)) throw new LifecycleError(`An instance that is ${lifecycle.state} can't fail.`);
    return { state: 'failed', from: lifecycle.state, kind: event.kind, error: event.error };
  }
  const next = transitions[lifecycle.state][event.event];
  if (next === undefined)
    throw new LifecycleError(`"${event.event}" can't happen to an instance that is ${lifecycle.state}.`);
  return { state: next };
}

export function canAdvance(lifecycle: Lifecycle, event: LifecycleEvent['event']): boolean {
  return event === 'failed' ? !isOver(lifecycle) : transitions[lifecycle.state][event] !== undefined;
}

export function isOver(lifecycle: Lifecycle): boolean {
  return lifecycle.state === 'retired' || lifecycle.state === 'failed';
}

/** Requests may be given to it. */
export function canServe(lifecycle: Lifecycle): boolean {
  return lifecycle.state === 'ready' || lifecycle.state === 'active' || lifecycle.state === 'deactivated';
}

/** The word for a state in the node's report. */
export function reportedState(state: Exclude<LifecycleState, 'retired'>): InstanceState {
  return reportedStates[state];
}

const reportedStates: Record<Exclude<LifecycleState, 'retired'>, InstanceState> = {
  fetching: 'Fetching',
  verified: 'Verifying',
  loading: 'Loading',
  loaded: 'Starting',
  started: 'Starting',
  ready: 'Ready',
  active: 'Active',
  deactivated: 'Warm',
  draining: 'Draining',
  failed: 'Failed',
};
