import { bet, newEProcess, pushStart, wealthOf } from './e-process.js';
import type { EProcess } from './e-process.js';
import type { ArmSample } from './events.js';
import type { AnalysisParameters, GaugeName } from './parameters.js';
import type { PairedNode } from './pool.js';

/** A process warms up in its first minute; growth is measured from the level of its second. */
const referenceFromSeconds = 60;
const referenceToSeconds = 120;

/** One node's pair of processes: sums of the window under way, and the level that growth is measured from. */
export interface NodeGauge {
  id: string;
  /** When the pair was first seen to work. */
  bornAt: number;
  cpuC: number;
  cpuReference: number;
  requestsC: number;
  requestsReference: number;
  rssC: number;
  rssReference: number;
  /** Sum and number of the windows of the second minute of life. */
  levelSum: number;
  levelCount: number;
}

export interface GaugeEvidence {
  cpu: EProcess;
  mem: EProcess;
  grow: EProcess;
  nodes: readonly NodeGauge[];
}

export function newGaugeEvidence({ G }: AnalysisParameters): GaugeEvidence {
  const process = newEProcess(G);
  return { cpu: process, mem: process, grow: process, nodes: [] };
}

export function startGaugeEvidence(evidence: GaugeEvidence, { J }: AnalysisParameters): GaugeEvidence {
  return {
    ...evidence,
    cpu: pushStart(evidence.cpu, J),
    mem: pushStart(evidence.mem, J),
    grow: pushStart(evidence.grow, J),
  };
}

/**
 * Takes one block in; a node seen for the first time was born at `bornAt`. Bets are made when time passes a multiple of `gaugeSeconds`: per gauge one, on the mean over the nodes
 * of the logarithm of candidate / twin, because the instances, not the seconds, are what a lasting level varies by.
 */
export function addGauges(
  evidence: GaugeEvidence,
  parameters: AnalysisParameters,
  paired: readonly PairedNode[],
  interval: { from: number; to: number; bornAt: number },
): GaugeEvidence {
  const { gaugeSeconds } = parameters;
  const nodes = accumulate(evidence.nodes, paired, interval.bornAt);
  if (Math.floor(interval.to / gaugeSeconds) === Math.floor(interval.from / gaugeSeconds)) {
    return { ...evidence, nodes };
  }
  const closed = nodes.map((node) => closeWindow(node, interval.to));
  const wager = (name: GaugeName, values: readonly (number | null)[]) =>
    bet(evidence[name], gaugeFactors(parameters, name, values));
  return {
    cpu: wager(
      'cpu',
      closed.map((window) => window.cpu),
    ),
    mem: wager(
      'mem',
      closed.map((window) => window.mem),
    ),
    grow: wager(
      'grow',
      closed.map((window) => window.grow),
    ),
    nodes: closed.map((window) => window.next),
  };
}

export function gaugeWealth(evidence: GaugeEvidence, { J }: AnalysisParameters) {
  return {
    cpu: wealthOf(evidence.cpu, J),
    mem: wealthOf(evidence.mem, J),
    grow: wealthOf(evidence.grow, J),
  };
}

/** Nodes keep their place from block to block, so that each is mostly found where it was. */
function accumulate(nodes: readonly NodeGauge[], paired: readonly PairedNode[], bornAt: number): NodeGauge[] {
  const next = nodes.slice();
  let places: Map<string, number> | null = null;
  for (let i = 0; i < paired.length; i++) {
    const { id, C, reference } = paired[i] as PairedNode;
    let place = nodes[i]?.id === id ? i : -1;
    if (place < 0) {
      places ??= new Map(nodes.map((node, at) => [node.id, at]));
      place = places.get(id) ?? next.length;
    }
    next[place] = addReading(next[place] ?? { ...emptyWindow, id, bornAt, levelSum: 0, levelCount: 0 }, C, reference);
  }
  return next;
}

/** One-sided readings are left out, as one-sided seconds are. Written out member by member: this runs for every node each second. */
function addReading(node: NodeGauge, C: ArmSample, reference: ArmSample): NodeGauge {
  const hasCpu = typeof C.cpuSeconds === 'number' && typeof reference.cpuSeconds === 'number';
  const hasRss = typeof C.rssBytes === 'number' && typeof reference.rssBytes === 'number';
  return {
    id: node.id,
    bornAt: node.bornAt,
    cpuC: node.cpuC + (hasCpu ? (C.cpuSeconds as number) : 0),
    cpuReference: node.cpuReference + (hasCpu ? (reference.cpuSeconds as number) : 0),
    requestsC: node.requestsC + C.requests,
    requestsReference: node.requestsReference + reference.requests,
    rssC: node.rssC + (hasRss ? (C.rssBytes as number) : 0),
    rssReference: node.rssReference + (hasRss ? (reference.rssBytes as number) : 0),
    levelSum: node.levelSum,
    levelCount: node.levelCount,
  };
}

const emptyWindow = { cpuC: 0, cpuReference: 0, requestsC: 0, requestsReference: 0, rssC: 0, rssReference: 0 };

function closeWindow(node: NodeGauge, at: number) {
  const cpu = logRatio(node.cpuC / node.requestsC, node.cpuReference / node.requestsReference);
  const mem = logRatio(node.rssC, node.rssReference);
  const ageSeconds = at - node.bornAt;
  const next = { ...node, ...emptyWindow };
  let grow: number | null = null;
  if (mem !== null && ageSeconds > referenceToSeconds && node.levelCount > 0) {
    grow = mem - node.levelSum / node.levelCount;
  } else if (mem !== null && ageSeconds > referenceFromSeconds && ageSeconds <= referenceToSeconds) {
    next.levelSum += mem;
    next.levelCount += 1;
  }
  return { next, cpu, mem, grow };
}

function logRatio(numerator: number, denominator: number): number | null {
  const value = Math.log(numerator / denominator);
  return Number.isFinite(value) ? value : null;
}

function gaugeFactors(
  { G, L, lvl, tau }: AnalysisParameters,
  name: GaugeName,
  values: readonly (number | null)[],
): number[] | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const margin = Math.max(lvl[name], 3 * tau * Math.sqrt(2 / known.length));
  const payoff = Math.min(1, Math.max(-1, (mean - margin) / L));
  return G.map((g) => Math.log1p(g * payoff));
}
