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
type Shares = Record<'S' | 'C' | 'T', number>;

/**
 * The traffic of a rollout whose target behaves as stable does: the measured requests, spread evenly over the live nodes and given to releases as
 * the nodes' confirmed plans say. Whole requests and failures; what is left over of one goes to the next moment.
 */
export class ModelledTraffic {
  private target = { requests: 0, failures: 0 };
  private stable = { requests: 0, failures: 0 };
  private blocks: ClosedBlock[] = [];
  private readonly owed = new Map<string, number>();

  constructor(private readonly load: MeasuredLoad | null) {}

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
    this.blocks.push({ at: to, nodes: nodes.map((node) => this.sample(node, target, requests)) });
  }

  private sample(node: KernelNode, target: Release, requests: number): NodeSample {
    const shares = sharesOf(node, target);
    const arms: NodeSample['arms'] = {};
    for (const arm of ['S', 'C', 'T'] as const) {
      if (shares[arm] === 0) continue;
      const count = this.whole(`${node.id}/${arm}/requests`, requests * shares[arm]);
      const errors = this.whole(`${node.id}/${arm}/errors`, count * (this.load?.errorRate ?? 0));
      const sum = arm === 'C' ? this.target : this.stable;
      sum.requests += count;
      sum.failures += errors;
      arms[arm] = { requests: count, errors, latency: this.latencyOf(count), cpuSeconds: null, rssBytes: null };
    }
    return { id: node.id, arms };
  }

  private latencyOf(count: number): number[] {
    const { latency } = this.load ?? { latency: [] };
    const total = latency.reduce((sum, each) => sum + each, 0);
    return latency.map((each) => (total === 0 ? 0 : (each * count) / total));
  }

  private whole(key: string, amount: number): number {
    const owed = (this.owed.get(key) ?? 0) + amount;
    const whole = Math.floor(owed + 1e-9);
    this.owed.set(key, owed - whole);
    return whole;
  }
}

function sharesOf(node: KernelNode, target: Release): Shares {
  const seen = node.observation(target.module);
  if (seen?.active === target.digest) return { S: 0, C: 1, T: 0 };
  const percent = seen?.candidate === target.digest ? seen.candidatePercent : 0;
  const C = percent / 100;
  const T = node.assignment(target.module)?.twin ? C : 0;
  return { S: Math.max(0, 1 - C - T), C, T };
}
