import { emptyLatencyHistogram, type NodeReport } from '@hotswap/agent-protocol';
import type {
  AnalysisView,
  Arm,
  ArmSample,
  EnvironmentName,
  NodeSample,
  Release,
  RolloutTraffic,
  Stage,
} from '@hotswap/domain';
import { TrafficPacker } from '@hotswap/orchestrator';
import { recordKey, type MemoryDatabase, type TrafficRow } from './memory-database.js';

const beforeMilliseconds = 60_000;
/** Nodes keep what they can't deliver for a minute. */
const lateMillisecondsMax = 70_000;
const evidenceAgeMillisecondsMax = 5_000;
const blocksMax = 120;

export function keepTraffic(
  database: MemoryDatabase,
  nodeId: string,
  environment: EnvironmentName,
  { traffic, probes = [], ageSeconds = 0 }: NodeReport,
): void {
  const at = database.now() - Math.round(ageSeconds * 1000);
  for (const sample of traffic) {
    const row = { ...sample, at, nodeId, isProbe: false };
    append(database.traffic, recordKey(environment, sample.module), row);
    report(database, environment, row);
  }
  for (const sample of probes) report(database, environment, { ...sample, at, nodeId, isProbe: true });
}

/** For the block that is open. */
function report(database: MemoryDatabase, environment: EnvironmentName, row: TrafficRow): void {
  const key = recordKey(environment, row.module);
  const open = database.blocks.get(key)?.at(-1);
  if (open?.at === Infinity) open.rows.push(row);
  else append(database.blocks, key, { at: Infinity, rows: [row] });
}

function append<Row>(table: Map<string, Row[]>, key: string, row: Row): void {
  const rows = table.get(key);
  if (rows) rows.push(row);
  else table.set(key, [row]);
}

/** What nodes reported of the target, of every other release at the same time, and of all in the minute before the target's first request. */
export function sumTraffic(
  database: MemoryDatabase,
  environment: EnvironmentName,
  target: Release,
  { strategy, progress }: Pick<Stage, 'strategy' | 'progress'>,
): Pick<RolloutTraffic, 'target' | 'stable' | 'before'> {
  const sums = {
    target: { requests: 0, failures: 0 },
    stable: { requests: 0, failures: 0 },
    before: { requests: 0, failures: 0 },
  };
  const since = (strategy === 'Rolling' ? progress?.exposedAt : progress?.stepStartedAt) ?? Infinity;
  const exposedAt = progress?.exposedAt ?? -Infinity;
  const earliest = Math.min(since, exposedAt > 0 ? exposedAt - beforeMilliseconds : Infinity);
  const rows = database.traffic.get(recordKey(environment, target.module)) ?? [];
  for (let index = rows.length - 1; index >= 0; index--) {
    const row = rows[index];
    if (!row || row.at < earliest - lateMillisecondsMax) break;
    if (row.at >= since) add(row.release === target.digest ? sums.target : sums.stable, row);
    if (row.at >= exposedAt - beforeMilliseconds && row.at < exposedAt) add(sums.before, row);
  }
  return sums;
}

function add(sum: { requests: number; failures: number }, row: TrafficRow): void {
  sum.requests += row.requests;
  sum.failures += row.failures;
}

export class MemoryTrafficPacker extends TrafficPacker {
  constructor(private readonly database: MemoryDatabase) {
    super();
  }

  /** Closes one block: what was reported since the last one, of modules whose environment a rollout owns. */
  async pack(): Promise<void> {
    const { database } = this;
    const at = Math.max(database.now(), database.packedUntil + 1);
    database.packedUntil = at;
    for (const [key, blocks] of database.blocks) {
      const open = blocks.at(-1);
      if (open?.at !== Infinity) continue;
      blocks.pop();
      const rows = open.rows.filter((row) => row.at > at - evidenceAgeMillisecondsMax);
      if (rows.length > 0 && (database.tables.records.get(key)?.ownerStageId ?? null) !== null)
        blocks.push({ at, rows });
    }
  }
}

/** Where the stage's analysis has come to, and the blocks since. */
export function loadAnalysis(
  database: MemoryDatabase,
  { id, from, to }: Pick<Stage, 'id' | 'from' | 'to'>,
  environment: EnvironmentName,
  module: string,
): AnalysisView {
  const kept = database.tables.analyses.get(id);
  if (!kept || !to) return { revision: 0, memory: null, blocks: [] };
  const { revision, memory } = kept;
  const takenInUntil = Math.round(memory.beganAt + memory.state.at * 1000);
  const blocks = (database.blocks.get(recordKey(environment, module)) ?? [])
    .filter(({ at }) => at > takenInUntil && at !== Infinity)
    .slice(0, blocksMax)
    .map(({ at, rows }) => ({ at, nodes: toNodes(rows, from, to) }));
  return { revision, memory, blocks };
}

function toNodes(rows: readonly TrafficRow[], stable: Release | null, target: Release): NodeSample[] {
  const nodes = new Map<string, NodeSample>();
  const probed = new Set<string>();
  for (const row of rows) {
    const arm = armOf(row, stable, target);
    if (!arm) continue;
    if (row.isProbe) probed.add(row.nodeId);
    const node = nodes.get(row.nodeId) ?? { id: row.nodeId, arms: {} };
    nodes.set(row.nodeId, { ...node, arms: { ...node.arms, [arm]: addTo(node.arms[arm], row) } });
  }
  return [...nodes.values()].map((node) => (probed.has(node.id) && node.arms.T ? withoutStable(node) : node));
}

/** Probes go to target and twin alone: in their second stable's requests are not comparable with both's. */
function withoutStable({ id, arms: { S: _, ...arms } }: NodeSample): NodeSample {
  return { id, arms };
}

function armOf({ role = 'active', release }: TrafficRow, stable: Release | null, target: Release): Arm | null {
  if (role === 'candidate') return release === target.digest ? 'C' : null;
  if (release !== stable?.digest) return null;
  return role === 'twin' ? 'T' : 'S';
}

function addTo(known: ArmSample | undefined, row: TrafficRow): ArmSample {
  const latency = known ? [...known.latency] : emptyLatencyHistogram();
  row.latency.forEach((count, bucket) => (latency[bucket] = (latency[bucket] ?? 0) + count));
  return {
    requests: (known?.requests ?? 0) + row.requests,
    errors: (known?.errors ?? 0) + row.failures,
    latency,
    cpuSeconds: row.cpuSeconds === null ? (known?.cpuSeconds ?? null) : (known?.cpuSeconds ?? 0) + row.cpuSeconds,
    rssBytes: row.rssBytes ?? known?.rssBytes ?? null,
  };
}
