import { emptyLatencyHistogram } from '@hotswap/agent-protocol';
import type {
  AnalysisMemory,
  AnalysisView,
  Arm,
  ArmSample,
  ClosedBlock,
  EnvironmentName,
  NodeSample,
  Release,
  Stage,
} from '@hotswap/domain';
import type { EntityManager } from 'typeorm';

/** One look takes in so many blocks; after an outage the next looks take in the rest. */
const blocksMax = 120;
/** Of the role of a block's row that is of the node's own probes. */
const probeSuffix = '-probe';

/** Where the stage's analysis has come to, and the blocks since. */
export async function loadAnalysis(
  manager: EntityManager,
  stage: Pick<Stage, 'id' | 'from' | 'to'>,
  environment: EnvironmentName,
  module: string,
): Promise<AnalysisView> {
  const [row] = await manager.query<AnalysisRow[]>(
    'SELECT revision, began_at, taken_in_until, parameters, state, standing FROM hotswap.stage_analysis WHERE stage_id = $1',
    [stage.id],
  );
  if (!row || !stage.to) return { revision: 0, memory: null, blocks: [] };
  const memory: AnalysisMemory = {
    beganAt: row.began_at.getTime(),
    parameters: row.parameters,
    state: row.state,
    standing: row.standing,
  };
  const blocks = await loadBlocks(
    manager,
    { environment, module, stable: stage.from, target: stage.to },
    row.taken_in_until,
    null,
  );
  return { revision: row.revision, memory, blocks };
}

interface AnalysisRow extends Pick<AnalysisMemory, 'parameters' | 'state' | 'standing'> {
  revision: number;
  began_at: Date;
  taken_in_until: Date;
}

/** Closed blocks after `from`, until `to`, in time order; at most 120. */
export async function loadBlocks(
  manager: Pick<EntityManager, 'query'>,
  of: { environment: EnvironmentName; module: string; stable: Release | null; target: Release },
  from: Date,
  to: Date | null,
): Promise<ClosedBlock[]> {
  const rows = await manager.query<BlockRow[]>(selectBlocks, [of.environment, of.module, from, to, blocksMax]);
  return [...Map.groupBy(rows, ({ at }) => at.getTime())].map(([at, parts]) => ({ at, nodes: toNodes(parts, of) }));
}

/** [node, requests, failures, buckets, counts, latency sum, in flight, CPU seconds, RSS bytes, event-loop delay]. */
type PackedNode = [
  string,
  number,
  number,
  number[] | null,
  number[] | null,
  number,
  number,
  number | null,
  number | null,
  number | null,
];

interface BlockRow {
  at: Date;
  release: string;
  role: string;
  nodes: PackedNode[];
}

const selectBlocks = `
  SELECT at, release, role, nodes
  FROM hotswap.traffic_block
  WHERE environment = $1 AND module = $2 AND at IN (
    SELECT DISTINCT at FROM hotswap.traffic_block
    WHERE environment = $1 AND module = $2 AND at > $3 AND ($4::timestamptz IS NULL OR at <= $4)
    ORDER BY at LIMIT $5)
  ORDER BY at, role, release`;

function toNodes(
  parts: readonly BlockRow[],
  { stable, target }: { stable: Release | null; target: Release },
): NodeSample[] {
  const nodes = new Map<string, NodeSample>();
  const probed = new Set<string>();
  for (const { role, release, nodes: packed } of parts) {
    const isProbe = role.endsWith(probeSuffix);
    const arm = armOf(isProbe ? role.slice(0, -probeSuffix.length) : role, release, stable, target);
    if (!arm) continue;
    for (const entry of packed) {
      if (isProbe) probed.add(entry[0]);
      const node = nodes.get(entry[0]) ?? { id: entry[0], arms: {} };
      nodes.set(entry[0], { ...node, arms: { ...node.arms, [arm]: addTo(node.arms[arm], entry) } });
    }
  }
  return [...nodes.values()].map((node) => (probed.has(node.id) && node.arms.T ? withoutStable(node) : node));
}

/** Probes go to target and twin alone: in their second stable's requests are not comparable with both's. */
function withoutStable({ id, arms: { S: _, ...arms } }: NodeSample): NodeSample {
  return { id, arms };
}

/** Releases that the rollout does not compare are no arm: what drains from before it. */
function armOf(role: string, release: string, stable: Release | null, target: Release): Arm | null {
  if (role === 'candidate') return release === target.digest ? 'C' : null;
  if (release !== stable?.digest) return null;
  return role === 'twin' ? 'T' : 'S';
}

/** A node that reported twice in a block: counts add up, the gauge is the newer one. */
function addTo(known: ArmSample | undefined, packed: PackedNode): ArmSample {
  const [, requests, failures, buckets, counts, , , cpuSeconds, rssBytes] = packed;
  const latency = known ? [...known.latency] : emptyLatencyHistogram();
  buckets?.forEach((bucket, index) => (latency[bucket] = (latency[bucket] ?? 0) + (counts?.[index] ?? 0)));
  return {
    requests: (known?.requests ?? 0) + requests,
    errors: (known?.errors ?? 0) + failures,
    latency,
    cpuSeconds: cpuSeconds === null ? (known?.cpuSeconds ?? null) : (known?.cpuSeconds ?? 0) + cpuSeconds,
    rssBytes: rssBytes ?? known?.rssBytes ?? null,
  };
}
