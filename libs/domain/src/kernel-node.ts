import type { EnvironmentName } from './environment.js';
import { isCatchingUp, listenedMilliseconds, lostAfterMilliseconds, type Listening } from './listening.js';
import type { Instant } from './instant.js';
import type { Release } from './release.js';

export const nodeStates = ['Starting', 'Ready', 'LameDuck', 'Draining', 'Lost', 'Gone'] as const;
export type NodeState = (typeof nodeStates)[number];

/**
 * Smoke requests that a node is to send to candidate and reference of itself, one at a time. The same `id` again goes on with what is left of
 * `requestsMax`; another one begins anew.
 */
export interface ProbeOrder {
  id: string;
  requestsPerSecond: number;
  requestsMax: number;
}

/** What one node is wanted to run of one module. `active: null` = the module is to be absent. */
export interface NodePlan {
  active: Release | null;
  candidate: Release | null;
  candidatePercent: number;
  /** True: a second, equally fresh instance of `active` takes as large a share as the candidate, to be compared with it. */
  twin?: boolean;
  /** Left out: nothing is probed. */
  probe?: ProbeOrder;
  warm: Release[];
  fallback: Release | null;
}

/** A plan as it was written for a node: part of the node's document from (epoch, revision) on. */
export interface NodeAssignment extends NodePlan {
  epoch: number;
  revision: number;
  /** Since when the node is asked for just this. Left out: not known. */
  assignedAt?: Instant;
}

export interface InstanceObservation {
  release: string;
  version: string;
  state: 'Fetching' | 'Verifying' | 'Loading' | 'Starting' | 'Ready' | 'Active' | 'Warm' | 'Draining' | 'Failed';
  error: string | null;
  failureKind: string | null;
  crashes: number;
  /** How long each phase that it has been through took: `load`, `start`, `health`, `smoke`, … Left out: the node does not say. */
  phaseSeconds?: Readonly<Record<string, number | undefined>>;
}

/** What keeps a node from having a release without saying anything about the release: its artifact is not to be had, or the node has no memory left. */
const kindsOfNode: readonly (string | null)[] = ['fetch', 'memory'];

/** Whether a failed instance says something about its node, and not about its release. */
export function isOfNode({ failureKind }: InstanceObservation): boolean {
  return kindsOfNode.includes(failureKind);
}

/** What a node last said of one module; releases by digest. */
export interface ModuleObservation {
  active: string | null;
  candidate: string | null;
  candidatePercent: number;
  servingFallback: boolean;
  instances: InstanceObservation[];
  /** Since when `active`, `candidate` and `candidatePercent` are as they are. */
  since: Instant;
}

/** The end of a process of a node that it did not announce, and what that process had been asked to give requests to. */
export interface BootDeath {
  bootId: string;
  module: string;
  /** Digest of the release. */
  release: string;
  /** When that release was made active; where the process did not live to say so, when it was told to. */
  activatedAt: Instant;
  lastHeardAt: Instant;
  /** When another process of the node joined. */
  noticedAt: Instant;
}

export interface KernelNodeFacts {
  id: string;
  environment: EnvironmentName;
  hostname: string;
  address: string;
  zone: string | null;
  bootId: string;
  pid: number;
  /** As the node last reported it; never `Lost`, which is derived. */
  reportedState: Exclude<NodeState, 'Lost'>;
  joinedAt: Instant;
  lastHeartbeatAt: Instant;
  /** (epoch, revision) of the document that the node says it is making true. */
  accepted: { epoch: number; revision: number } | null;
  assignments: ReadonlyMap<string, NodeAssignment>;
  observations: ReadonlyMap<string, ModuleObservation>;
  /** Left out: none. */
  deaths?: readonly BootDeath[];
}

/** One long-running process that hosts modules, as the control plane knows it: what was asked of it and what it last said. */
export class KernelNode {
  constructor(readonly facts: KernelNodeFacts) {}

  get id(): string {
    return this.facts.id;
  }

  /**
   * The node's state, `Lost` after 15 s of silence while someone listened (and had time to hear it after a gap). One that had left its traffic is
   * missed by nobody: it stays what it was.
   */
  state(now: Instant, listening: Listening): NodeState {
    const { reportedState } = this.facts;
    if (reportedState === 'Gone' || reportedState === 'Draining') return reportedState;
    return this.isSilent(now, listening) ? 'Lost' : reportedState;
  }

  /** Takes part in rollouts: is there, and is not leaving. */
  isLive(now: Instant, listening: Listening): boolean {
    const state = this.state(now, listening);
    return state === 'Ready' || state === 'Starting';
  }

  assignment(module: string): NodeAssignment | null {
    return this.facts.assignments.get(module) ?? null;
  }

  observation(module: string): ModuleObservation | null {
    return this.facts.observations.get(module) ?? null;
  }

  /** Has accepted the document that carries its newest assignment of this module: what it says of it counts. */
  hasAccepted(module: string): boolean {
    const { accepted } = this.facts;
    const wanted = this.assignment(module);
    if (!accepted || !wanted) return false;
    return accepted.epoch > wanted.epoch || (accepted.epoch === wanted.epoch && accepted.revision >= wanted.revision);
  }

  /** Says that what it was asked for is true. */
  confirms(module: string): boolean {
    const wanted = this.assignment(module);
    const seen = this.observation(module);
    if (!wanted || !this.hasAccepted(module)) return false;
    if (wanted.active === null) return !seen || (seen.active === null && seen.instances.length === 0);
    if (!seen || seen.servingFallback || seen.active !== wanted.active.digest) return false;
    if (!wanted.candidate) return seen.candidate === null;
    return seen.candidatePercent === wanted.candidatePercent && this.hasReady(module, wanted.candidate);
  }

  /** Says that an instance of this release is started, healthy and smoke-tested. */
  hasReady(module: string, release: Release): boolean {
    return this.instances(module, release).some(
      ({ state }) => state === 'Ready' || state === 'Active' || state === 'Warm',
    );
  }

  /** The instance of this release that could not be made to run; null when none failed. Counts only what was said of the newest assignment. */
  failureOf(module: string, release: Release): InstanceObservation | null {
    if (!this.hasAccepted(module)) return null;
    return this.instances(module, release).find(({ state }) => state === 'Failed') ?? null;
  }

  /** Has tried to run this release and can't, for a reason that lies with the release. */
  isBroken(module: string, release: Release): boolean {
    const failure = this.failureOf(module, release);
    return failure !== null && !isOfNode(failure);
  }

  /** How often this release's process ended unasked on this node. */
  crashesOf(module: string, release: Release): number {
    return this.instances(module, release).reduce((sum, { crashes }) => sum + crashes, 0);
  }

  /** What it says of its instances of this release. */
  instances(module: string, release: Release): InstanceObservation[] {
    return this.observation(module)?.instances.filter((instance) => instance.release === release.digest) ?? [];
  }

  private isSilent(now: Instant, listening: Listening): boolean {
    if (isCatchingUp(listening, now)) return false;
    return listenedMilliseconds(this.facts.lastHeartbeatAt, now, listening.gaps) >= lostAfterMilliseconds;
  }
}

/** Equal in what gets requests: the same active release, the same candidate, the same share, a twin or none. Warm releases and the fallback only follow from how it came to that, and probes are no users' requests. */
export function routesAlike(a: NodePlan | null, b: NodePlan): boolean {
  return (
    a !== null &&
    a.active?.digest === b.active?.digest &&
    a.candidate?.digest === b.candidate?.digest &&
    a.candidatePercent === b.candidatePercent &&
    (a.twin ?? false) === (b.twin ?? false)
  );
}
