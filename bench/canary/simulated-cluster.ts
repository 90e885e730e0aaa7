import type { Arm, ArmSample, BlockEvent, NodeSample } from '@hotswap/domain';
import { Random } from './random.js';
import { noRegression } from './scenario.js';
import type { Regression, Scenario } from './scenario.js';

const bucketCount = 64;
const growth = 1.1;
const medianSeconds = 0.02;
const sigma = 0.5;
/** 2 ms to about 0.8 s. */
export const latencyBucketSeconds = Array.from({ length: bucketCount }, (_, i) => 0.002 * growth ** i);

const incidentFrom = 300;
const incidentTo = 600;
const outageTo = 360;
const cpuSecondsPerRequest = 0.002;
const rssBytes = 100e6;

/** One instance: its lasting luck, its passing noise. */
interface Process {
  bornAt: number;
  latency: number;
  cpu: number;
  memory: number;
  cpuNoise: number;
  memoryNoise: number;
  disturbedUntil: number;
}

interface Node {
  id: string;
  errors: number;
  latency: number;
  inZone: boolean;
  noisyUntil: number;
  processes: Record<Arm, Process>;
}

/**
 * A cluster under traffic, second by second, on a seed. Nodes, incidents, bursts and noisy neighbours hit all arms of a node
 * alike; luck and disturbances are each process's own. Latency counts are drawn for the whole arm and booked on its first
 * node: the analysis adds nodes up.
 */
export class SimulatedCluster {
  readonly nodeIds: readonly string[];
  at = 0;
  private readonly random: Random;
  private readonly nodes: Node[];
  private burst = 1;
  private readonly shapes = new Map<string, { key: string; chances: number[] }>();

  constructor(
    private readonly scenario: Scenario,
    seeds: readonly number[],
  ) {
    this.random = new Random(...seeds);
    const { world } = scenario;
    this.nodes = Array.from({ length: world.nodeCount }, (_, i) => ({
      id: `n${i}`,
      errors: Math.exp(world.nodeDifferences * this.random.normal() - world.nodeDifferences ** 2 / 2),
      latency: Math.exp(0.5 * world.nodeDifferences * this.random.normal()),
      inZone: i % 3 === 0,
      noisyUntil: 0,
      processes: { C: this.start(0), T: this.start(0), S: this.start(-86_400) },
    }));
    this.nodeIds = this.nodes.map((node) => node.id);
  }

  /** New processes, with luck of their own. */
  restart(arms: readonly Arm[]): void {
    for (const node of this.nodes) for (const arm of arms) node.processes[arm] = this.start(this.at);
  }

  /** Lets a second pass. */
  advance(): void {
    this.at += 1;
    const { world } = this.scenario;
    if (world.hasClusteredErrors) this.burst = this.random.next() < 0.02 ? 40 : 0.2;
    for (const node of this.nodes) {
      if (world.hasNoisyNeighbours && this.random.next() < 4 / 3600) node.noisyUntil = this.at + 60;
      if (world.disturbancesPerHour === 0) continue;
      for (const process of Object.values(node.processes)) {
        if (this.random.next() < world.disturbancesPerHour / 3600)
          process.disturbedUntil = this.at + world.disturbanceSeconds;
      }
    }
    if (this.at % 15 === 0) for (const node of this.nodes) this.driftGauges(node);
  }

  /** The second that just passed, as the routers of these nodes tell it; `weight` 0: C and T are off. */
  block(nodeIds: readonly string[], weight: number, hasTwin = true): BlockEvent {
    const twinWeight = hasTwin ? weight : 0;
    const shares: [Arm, number][] = [['S', 1 - weight - twinWeight]];
    if (weight > 0) shares.push(['C', weight]);
    if (twinWeight > 0) shares.push(['T', twinWeight]);
    const chosen = this.nodes.filter((node) => nodeIds.includes(node.id));
    const samples: NodeSample[] = chosen.map((node) => ({ id: node.id, arms: {} }));
    for (const [arm, share] of shares) {
      const latency = this.drawLatency(chosen, arm, share * this.scenario.world.requestsPerSecond * chosen.length);
      chosen.forEach((node, i) => {
        const sample = samples[i];
        if (sample) sample.arms[arm] = this.sample(node, arm, share, i === 0 ? latency : noLatency);
      });
    }
    return { kind: 'block', at: this.at, nodes: samples };
  }

  /** Requests of one arm on these nodes over `seconds` like the one that just passed, and their latency counts. */
  observe(nodeIds: readonly string[], arm: Arm, seconds: number) {
    const chosen = this.nodes.filter((node) => nodeIds.includes(node.id));
    const mean = this.scenario.world.requestsPerSecond * seconds;
    let requests = 0;
    let errors = 0;
    let cpuSeconds = 0;
    for (const node of chosen) {
      const count = this.random.poisson(mean);
      requests += count;
      errors += this.random.binomial(count, this.errorRate(node, arm));
      cpuSeconds += count * this.cpuPerRequest(node, arm);
    }
    return { requests, errors, cpuSeconds, latency: this.drawLatency(chosen, arm, mean * chosen.length) };
  }

  private start(bornAt: number): Process {
    const { luck, hasHeavyTailedLuck } = this.scenario.world;
    const draw = () => Math.exp(luck * (hasHeavyTailedLuck ? this.random.heavyTailed() : this.random.normal()));
    return { bornAt, latency: draw(), cpu: draw(), memory: draw(), cpuNoise: 0, memoryNoise: 0, disturbedUntil: 0 };
  }

  private driftGauges(node: Node): void {
    for (const process of Object.values(node.processes)) {
      process.cpuNoise = 0.7 * process.cpuNoise + 0.04 * this.random.normal();
      process.memoryNoise = 0.9 * process.memoryNoise + 0.005 * this.random.normal();
    }
  }

  private sample(node: Node, arm: Arm, share: number, latency: readonly number[]): ArmSample {
    const requests = this.random.poisson(share * this.scenario.world.requestsPerSecond);
    const process = node.processes[arm];
    const { memoryFactor, leakPerMinute } = this.effect(arm);
    const ageMinutes = (this.at - process.bornAt) / 60;
    return {
      requests,
      errors: this.random.binomial(requests, this.errorRate(node, arm)),
      latency,
      cpuSeconds: requests * this.cpuPerRequest(node, arm),
      rssBytes:
        rssBytes * process.memory * Math.exp(process.memoryNoise) * memoryFactor * (1 + leakPerMinute) ** ageMinutes,
    };
  }

  private effect(arm: Arm): Regression {
    return arm === 'C' ? this.scenario.regression : noRegression;
  }

  private errorRate(node: Node, arm: Arm): number {
    const { world } = this.scenario;
    const { errorFactor, errorExcess, flappingFactor } = this.effect(arm);
    if (world.incident === 'outage' && this.at > incidentFrom && this.at <= outageTo) return 1;
    const warmUp = this.at - node.processes[arm].bornAt <= 60 ? 2 : 1;
    const flap = this.at % 120 >= 60 && this.at % 120 < 80 ? flappingFactor : 1;
    const incident = this.isHit(node) ? 20 : 1;
    const shared = world.errorRate * node.errors * this.burst * incident;
    return Math.min(1, shared * warmUp * errorFactor * flap + errorExcess);
  }

  private isHit(node: Node): boolean {
    const { incident } = this.scenario.world;
    const isNow = this.at > incidentFrom && this.at <= incidentTo;
    return isNow && (incident === 'global' || (incident === 'zone' && node.inZone));
  }

  private latencyFactor(node: Node, arm: Arm): number {
    const process = node.processes[arm];
    const ageSeconds = this.at - process.bornAt;
    const warmUp = ageSeconds <= 60 ? 1.3 : 1;
    const disturbed = this.at < process.disturbedUntil ? 3 : 1;
    const shared = node.latency * (this.isHit(node) ? 2 : 1) * (this.at < node.noisyUntil ? 1.5 : 1);
    return shared * warmUp * disturbed * process.latency * this.effect(arm).latencyFactor;
  }

  private cpuPerRequest(node: Node, arm: Arm): number {
    const process = node.processes[arm];
    const disturbed = this.at < process.disturbedUntil ? 1.5 : 1;
    return cpuSecondsPerRequest * process.cpu * Math.exp(process.cpuNoise) * disturbed * this.effect(arm).cpuFactor;
  }

  private drawLatency(nodes: readonly Node[], arm: Arm, mean: number): number[] {
    return this.shape(nodes, arm).map((chance) => (chance < 1e-7 ? 0 : this.random.poisson(mean * chance)));
  }

  /** The arm's chances per bucket over these nodes; kept while no factor changes. */
  private shape(nodes: readonly Node[], arm: Arm): number[] {
    const factors = nodes.map((node) => this.latencyFactor(node, arm));
    const key = factors.join();
    const group = `${arm}${nodes.length}${nodes[0]?.id}`;
    const kept = this.shapes.get(group);
    if (kept?.key === key) return kept.chances;
    const { tailShare, tailFactor } = this.effect(arm);
    const chances = new Array<number>(bucketCount + 1).fill(0);
    for (const factor of factors) {
      addShape(chances, factor, (1 - tailShare) / nodes.length);
      if (tailShare > 0) addShape(chances, factor * tailFactor, tailShare / nodes.length);
    }
    this.shapes.set(group, { key, chances });
    return chances;
  }
}

const noLatency: readonly number[] = new Array<number>(bucketCount + 1).fill(0);

function addShape(chances: number[], factor: number, weight: number): void {
  let below = 0;
  for (let i = 0; i <= bucketCount; i++) {
    const bound = latencyBucketSeconds[i];
    const upTo = bound === undefined ? 1 : normalBelow(Math.log(bound / (medianSeconds * factor)) / sigma);
    chances[i] = (chances[i] ?? 0) + weight * Math.max(0, upTo - below);
    below = upTo;
  }
}

/** The standard normal distribution (Abramowitz & Stegun 7.1.26; error below 1e-7). */
function normalBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = 0.5 * series * Math.exp(-x * x);
  return z > 0 ? 1 - tail : tail;
}
