import type { KernelNode } from '../kernel-node.js';

export interface Fleet {
  /** All nodes that count, silent ones too. */
  members: readonly KernelNode[];
  /** Nodes to choose from, ordered by id. */
  left: readonly KernelNode[];
  /** Nodes that were told to move and have not been ready for long enough. */
  moving: readonly KernelNode[];
  lost: readonly KernelNode[];
}

/**
 * The next nodes of a batch, `count` at most, in a fixed order: each from the zone of which the smallest part is away then (moving, silent, or in this
 * very batch), and within a zone by id. A zone of several nodes is never away as a whole, unless nothing else is left to move: the batch is
 * smaller then. Where fewer than two zones are known that makes no sense, and the ids alone decide.
 */
export function chooseBatch({ members, left, moving, lost }: Fleet, count: number): KernelNode[] {
  const names = [...new Set(members.map(zoneOf))].sort();
  if (names.filter((name) => name !== unknownZone).length < 2) return left.slice(0, count);
  const zones = names.map((name) => ({
    size: members.filter((node) => zoneOf(node) === name).length,
    away: [...moving, ...lost].filter((node) => zoneOf(node) === name).length,
    left: left.filter((node) => zoneOf(node) === name),
    isKnown: name !== unknownZone,
  }));
  const batch: KernelNode[] = [];
  while (batch.length < count) {
    const open = zones.filter((zone) => zone.left.length > 0);
    const spread = open.filter(({ size, away, isKnown }) => !isKnown || size === 1 || away + 1 < size);
    const isStuck = batch.length === 0 && moving.length === 0;
    const [zone] = (spread.length > 0 || !isStuck ? spread : open).toSorted(
      (a, b) => (a.away + 1) / a.size - (b.away + 1) / b.size,
    );
    const node = zone?.left.shift();
    if (!zone || !node) break;
    zone.away++;
    batch.push(node);
  }
  return batch;
}

const unknownZone = '';

function zoneOf({ facts }: KernelNode): string {
  return facts.zone ?? unknownZone;
}
