import {
  second,
  type ClosedBlock,
  type KernelNode,
  type NodeSample,
  type Release,
  type RolloutTraffic,
} from '@hotswap/domain';

/** What was measured of a module in an environment. */
export interface MeasuredLoad {
  /** On all nodes. */
  requestsPerSecond: number;
  /** 0-1. */
  errorRate: number;
  /** Requests per latency bucket, one more than the bounds. */
  latency: readonly number[];
}

/** A node's requests go to stable, the target and stable's twin in these shares. */
type Shares = Record<Arm, number>;
type Arm = 'S' | 'C' | 'T';
/** Parts of requests and failures that did not make a whole one yet. */
type Owed = Record<Arm, { requests: number; failures: number }>;

/**
 * The traffic of a rollout whose target behaves as stable does: the measured requests, spread evenly over the live nodes and given to releases as
 * the nodes' confirmed plans say. Whole requests and failures; what is left over of one goes to the next moment.
 */
export class ModelledTraffic {
  private target = { requests: 0, failures: 0 };
  private stable = { requests: 0, failures: 0 };
  private blocks: ClosedBlock[] = [];
  private readonly owed = new Map<string, Owed>();
  /** How requests are spread over the latency buckets. */
  private readonly latencyShares: readonly number[];
  /** By number of requests: nodes with equally many have the same. */
  private latencies = new Map<number, readonly number[]>();

  constructor(private readonly load: MeasuredLoad | null) {
    const latency = load?.latency ?? [];
    const total = latency.reduce((sum, each) => sum + each, 0);
    this.latencyShares = latency.map((each) => (total === 0 ? 0 : each / total));
  }

  /** What a rollout's strategy is shown. */
  get sums(): RolloutTraffic {
    const { requestsPerSecond = 0, errorRate = 0 } = this.load ?? {};
    const requests = Math.floor(60 * requestsPerSecond);
    const before = { requests, failures: Math.floor(requests * errorRate) };
    return { target: this.target, stable: this.stable, before };
  }

  /** A new step counts from 0. */
  beginStep(): void {
    this.target = { requests: 0, failures: 0 };
    this.stable = { requests: 0, failures: 0 };
  }

  /** Blocks since the last call, for the analysis. */
  takeBlocks(): ClosedBlock[] {
    const taken = this.blocks;
    this.blocks = [];
    return taken;
  }

  pass(nodes: readonly KernelNode[], target: Release, from: number, to: number): void {
    if (!this.load || this.load.requestsPerSecond <= 0 || nodes.length === 0) return;
    const requests = (this.load.requestsPerSecond * (to - from)) / second / nodes.length;
    this.latencies = new Map();
    this.blocks.push({ at: to, nodes: nodes.map((node) => this.sample(node, target, requests)) });
  }

  private sample(node: KernelNode, target: Release, requests: number): NodeSample {
    const shares = sharesOf(node, target);
    const owed = this.owedTo(node);
    const arms: NodeSample['arms'] = {};
    for (const arm of ['S', 'C', 'T'] as const) {
      if (shares[arm] === 0) continue;
      const count = takeWhole(owed[arm], 'requests', requests * shares[arm]);
      const errors = takeWhole(owed[arm], 'failures', count * (this.load?.errorRate ?? 0));
      const sum = arm === 'C' ? this.target : this.stable;
      sum.requests += count;
      sum.failures += errors;
      arms[arm] = { requests: count, errors, latency: this.latencyOf(count), cpuSeconds: null, rssBytes: null };
    }
    return { id: node.id, arms };
  }

  private latencyOf(count: number): readonly number[] {
    const known = this.latencies.get(count);
    if (known) return known;
    const latency = this.latencyShares.map((share) => share * count);
    this.latencies.set(count, latency);
    return latency;
  }

  private owedTo({ id }: KernelNode): Owed {
    const known = this.owed.get(id);
    if (known) return known;
    const nothing = () => ({ requests: 0, failures: 0 });
    const owed = { S: nothing(), C: nothing(), T: nothing() };
    this.owed.set(id, owed);
    return owed;
  }
}

function takeWhole(owed: Owed[Arm], of: keyof Owed[Arm], amount: number): number {
  const sum = owed[of] + amount;
  const whole = Math.floor(sum + 1e-9);
  owed[of] = sum - whole;
  return whole;
}

function sharesOf(node: KernelNode, target: Release): Shares {
  const seen = node.observation(target.module);
  if (seen?.active === target.digest) return { S: 0, C: 1, T: 0 };
  const percent = seen?.candidate === target.digest ? seen.candidatePercent : 0;
  const C = percent / 100;
  const T = node.assignment(target.module)?.twin ? C : 0;
  return { S: Math.max(0, 1 - C - T), C, T };
}
