import {
  capacityOf,
  defaultPolicy,
  EnvironmentCluster,
  KernelNode,
  type Decision,
  type ModuleObservation,
  type NodeAssignment,
  type NodePlan,
  type PlannedNode,
  type Policy,
  type Progress,
  type Release,
  type RolloutTraffic,
  type RolloutView,
  type Wait,
  waitOf,
} from '@hotswap/domain';
import { noTraffic, release } from './fleet.js';

const module = 'payments';
export const stable = release('v1');
export const target = release('v2');

interface WalkNode {
  id: string;
  zone: string | null;
  plan: NodeAssignment | null;
  /** What it has made true. */
  made: NodeAssignment | null;
  since: number;
  joinedAt: number;
  heartbeatAt: number;
  isLost: boolean;
  isLeaving: boolean;
  /** Releases that can't run there. */
  broken: Set<string>;
}

/** Something that happens between two looks; `node` is taken modulo the number of nodes. */
export type Happening =
  | { kind: 'make'; node: number }
  | { kind: 'make-all' }
  | { kind: 'lose' | 'return' | 'leave' | 'break-stable' | 'break-target' | 'mend'; node: number }
  | { kind: 'join'; zone: number }
  | { kind: 'wait'; seconds: number }
  | { kind: 'promote'; full: boolean }
  | { kind: 'fail-requests' }
  | { kind: 'change-policy'; percents: readonly number[]; maxUnavailable: string };

/** One rollout on one fleet: a strategy decides, the nodes do as they please. Holds every decision against what must always hold. */
export class RolloutWalk {
  now = Date.UTC(2030, 0, 1);
  readonly nodes: WalkNode[] = [];
  readonly codes = new Map<string, number>();
  policy: Policy;
  progress: Progress | null = null;
  promotion: 'step' | 'full' | null = null;
  traffic: RolloutTraffic = {
    ...noTraffic,
    target: { requests: 1000, failures: 0 },
    stable: { requests: 1000, failures: 0 },
  };
  end: 'complete' | 'roll-back' | null = null;
  private readonly startedAt = this.now;
  private revision = 1;
  private waiting: Wait | null = null;

  constructor(
    private readonly decide: (view: RolloutView) => Decision,
    zones: (string | null)[],
    policyOf: (policy: Policy) => Policy,
  ) {
    this.policy = policyOf(defaultPolicy('Production'));
    for (const zone of zones) this.join(zone, stable);
    for (const node of this.nodes) node.made = node.plan;
  }

  happen(happening: Happening): void {
    const node = 'node' in happening ? this.nodes[happening.node % this.nodes.length] : undefined;
    switch (happening.kind) {
      case 'make':
        if (node) this.make(node);
        break;
      case 'make-all':
        this.nodes.forEach((each) => this.make(each));
        break;
      case 'lose':
        if (node) Object.assign(node, { isLost: true, heartbeatAt: this.now - 16_000 });
        break;
      case 'return':
        if (node) Object.assign(node, { isLost: false, isLeaving: false, joinedAt: this.now, made: null });
        break;
      case 'leave':
        if (node) node.isLeaving = true;
        break;
      case 'break-stable':
        node?.broken.add(stable.digest);
        break;
      case 'break-target':
        node?.broken.add(target.digest);
        break;
      case 'mend':
        node?.broken.clear();
        break;
      case 'join':
        if (this.nodes.length < 8) this.join([null, 'x', 'y', 'z'][happening.zone] ?? null, null);
        break;
      case 'wait':
        this.now += happening.seconds * 1000;
        break;
      case 'promote':
        this.promotion = happening.full ? 'full' : 'step';
        break;
      case 'fail-requests':
        this.traffic = { ...this.traffic, target: { requests: 1000, failures: 300 } };
        break;
      case 'change-policy':
        this.policy = {
          ...this.policy,
          canary: {
            ...this.policy.canary,
            steps: happening.percents.map((percent) => ({ percent, minimumSeconds: 10, maximumSeconds: 60 })),
          },
          rolling: { ...this.policy.rolling, maxUnavailable: happening.maxUnavailable },
        };
    }
  }

  /** Everything that can go wrong stops going wrong. */
  calm(): void {
    this.traffic = { ...this.traffic, target: { requests: 1000, failures: 0 } };
    for (const node of this.nodes) {
      node.broken.clear();
      if (node.isLost || node.isLeaving) Object.assign(node, { isLost: false, isLeaving: false, joinedAt: this.now });
    }
  }

  /** One look and what follows from it. Throws where something is broken that must hold. */
  look(): Decision {
    const view = this.view();
    const decision = this.decide(view);
    assert(JSON.stringify(this.decide(view)) === JSON.stringify(decision), 'the same view gives the same decision');
    const key = `${decision.kind} ${decision.because.code}`;
    this.codes.set(key, (this.codes.get(key) ?? 0) + 1);
    this.check(view, decision);
    this.waiting = waitOf(decision.because);
    if (decision.kind === 'advance') {
      if (this.promotion === 'step' && decision.progress.number !== this.progress?.number) this.promotion = null;
      this.progress = decision.progress;
      this.assign(decision.assign);
    }
    if (decision.kind === 'complete' || decision.kind === 'roll-back') this.end = decision.kind;
    return decision;
  }

  assign(planned: readonly PlannedNode[]): void {
    for (const { nodeId, plan } of planned) {
      const node = this.nodes.find(({ id }) => id === nodeId);
      if (node) node.plan = { ...plan, epoch: 1, revision: ++this.revision, assignedAt: this.now };
    }
  }

  view(): RolloutView {
    for (const node of this.nodes) if (!node.isLost) node.heartbeatAt = this.now;
    return {
      module,
      policy: this.policy,
      cluster: new EnvironmentCluster(
        'Production',
        this.nodes.map((node) => this.kernelNode(node)),
        [],
        this.now,
        { beatAt: this.now, gaps: [] },
      ),
      stable,
      target,
      startedAt: this.startedAt,
      progress: this.progress,
      traffic: this.traffic,
      suspensions: [],
      promotion: this.promotion,
      waiting: this.waiting,
    };
  }

  private check(view: RolloutView, decision: Decision): void {
    assert(decision.because.code !== '' && decision.because.message !== '', 'every decision says why');
    if (decision.kind === 'hold')
      assert(decision.recheckAt !== null && decision.recheckAt > this.now, 'a hold says when to look again');
    if (decision.kind === 'complete') {
      assert(view.cluster.live.length > 0, 'no rollout completes without a live node');
      for (const node of view.cluster.live)
        assert(node.confirms(module) && node.observation(module)?.active === target.digest, `${node.id} runs target`);
    }
    if (decision.kind !== 'advance') return;
    const { code } = decision.because;
    const hasRisen = decision.progress.number >= (this.progress?.number ?? 0);
    assert(hasRisen || code === 'steps-changed', 'steps rise, unless there are other ones');
    const share = decision.progress.targetPercent;
    // Of a rolling update it is the share of the nodes, of which some may be new.
    assert(share >= (this.progress?.targetPercent ?? 0) || code === 'batch', 'shares rise');
    for (const { nodeId, plan } of decision.assign) {
      const node = view.cluster.nodes.find(({ id }) => id === nodeId);
      const releases = [plan.active, plan.candidate, ...plan.warm, plan.fallback].filter((each) => each !== null);
      assert(node !== undefined, 'only nodes of the environment are assigned');
      assert(releases.every(isKnown), 'only where it came from, and where it goes');
      assert(
        releases.some(({ digest }) => digest === stable.digest),
        'the way back is kept',
      );
      const before = node?.assignment(module);
      assert(shareOf(plan) >= (before ? shareOf(before) : -1), `${nodeId} gives target no less than before`);
    }
    const isNext = decision.progress.number !== this.progress?.number;
    if (isNext && this.progress) this.checkFlips(view, decision.assign);
    if (decision.because.code === 'batch' && this.promotion !== 'full') this.checkCapacity(view, decision.assign);
  }

  private checkFlips(view: RolloutView, assign: readonly PlannedNode[]): void {
    for (const { nodeId, plan } of assign) {
      const node = view.cluster.nodes.find(({ id }) => id === nodeId);
      if (node?.assignment(module)?.candidate?.digest !== target.digest || plan.active?.digest !== target.digest)
        continue;
      assert(
        node.hasReady(module, target) || node.isBroken(module, stable),
        `${nodeId} flips to what it has confirmed`,
      );
    }
  }

  private checkCapacity(view: RolloutView, assign: readonly PlannedNode[]): void {
    const taken = assign.filter(({ nodeId }) => {
      const node = view.cluster.nodes.find(({ id }) => id === nodeId);
      return node && !node.isBroken(module, stable);
    });
    const { away, unavailable, surge } = capacityOf(view);
    assert(taken.length === 0 || away + taken.length <= unavailable + surge, 'the capacity floor holds');
  }

  private join(zone: string | null, runs: Release | null): void {
    const plan = runs ? { ...alone(runs), epoch: 1, revision: ++this.revision, assignedAt: this.now } : null;
    this.nodes.push({
      id: `n${this.nodes.length}`,
      zone,
      plan,
      made: null,
      since: this.now,
      joinedAt: this.now,
      heartbeatAt: this.now,
      isLost: false,
      isLeaving: false,
      broken: new Set(),
    });
  }

  private make(node: WalkNode): void {
    if (node.isLost || node.made === node.plan) return;
    node.made = node.plan;
    node.since = this.now;
  }

  private kernelNode(node: WalkNode): KernelNode {
    return new KernelNode({
      id: node.id,
      environment: 'Production',
      hostname: 'host',
      address: 'http://127.0.0.1:1',
      zone: node.zone,
      bootId: 'boot',
      pid: 1,
      reportedState: node.isLeaving ? 'LameDuck' : 'Ready',
      joinedAt: node.joinedAt,
      lastHeartbeatAt: node.heartbeatAt,
      accepted: { epoch: 1, revision: node.made?.revision ?? 0 },
      assignments: new Map(node.plan ? [[module, node.plan]] : []),
      observations: new Map(node.made ? [[module, observe(node, node.made)]] : []),
    });
  }
}

/** Share of the requests that target gets by this plan, 0-100; -1: it is not even loaded. */
export function shareOf({ active, candidate, candidatePercent }: NodePlan): number {
  if (active?.digest === target.digest) return 100;
  return candidate?.digest === target.digest ? candidatePercent : -1;
}

function observe({ since, broken }: WalkNode, made: NodeAssignment): ModuleObservation {
  const runs = (each: Release | null) => (each && !broken.has(each.digest) ? each.digest : null);
  const releases = [made.active, made.candidate, ...made.warm].filter((each) => each !== null);
  return {
    active: runs(made.active),
    candidate: runs(made.candidate),
    candidatePercent: runs(made.candidate) ? made.candidatePercent : 0,
    servingFallback: false,
    since,
    instances: releases.map(({ digest, version }) => ({
      release: digest,
      version,
      state: broken.has(digest) ? 'Failed' : digest === made.active?.digest ? 'Active' : 'Ready',
      error: broken.has(digest) ? 'no luck' : null,
      failureKind: broken.has(digest) ? 'start' : null,
      crashes: 0,
    })),
  };
}

function alone(active: Release): NodePlan {
  return { active, candidate: null, candidatePercent: 0, warm: [], fallback: null };
}

function isKnown({ digest }: Release): boolean {
  return digest === stable.digest || digest === target.digest;
}

function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`Does not hold: ${what}`);
}
