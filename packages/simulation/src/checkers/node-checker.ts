import { compareDocuments } from '@hotswap/agent-protocol';
import { isTrustedOnNodes, type SimulatedVersion } from '../behaviour.js';
import type { Counts, Findings } from '../findings.js';
import type { Machine, SimulatedNode } from '../node/simulated-node.js';
import type { Tables } from '../store/memory-database.js';

const rules = {
  monotone: 'What a node has accepted never goes back, in epoch and revision',
  verified: 'No node runs a release that it does not trust',
  assigned: 'No node runs a release that nobody assigned to it',
  serving:
    'A node that serves a module goes on serving it, whatever it is asked to run, unless the process of what it serves ends by itself',
};

interface Watched {
  accepted: Position | null;
  /** By module: what it served last on this boot. */
  serving: Map<string, string>;
}

/** Looks at the nodes themselves, not at what they report. */
export class NodeChecker {
  private readonly watched = new Map<SimulatedNode, Watched>();
  /** What a machine's disk has kept: the position of the newest document, and of no newer one that it had no room for. */
  private readonly kept = new Map<Machine, Position>();
  /** Releases of all documents ever written for a node, by node id. */
  private readonly assigned = new Map<string, Set<string>>();
  /** `node release` whose process has ended by its own fault on this boot. */
  private readonly faults = new Set<string>();

  constructor(
    private readonly findings: Findings,
    private readonly counts: Counts,
  ) {}

  onCommit(before: Tables, after: Tables): void {
    if (before.nodes === after.nodes) return;
    for (const node of after.nodes.values()) {
      if (before.nodes.get(node.id)?.document === node.document) continue;
      const assigned = this.assigned.get(node.id) ?? new Set();
      this.assigned.set(node.id, assigned);
      for (const { active, candidate, fallback, warm } of node.document.modules)
        for (const release of [active, candidate, fallback, ...warm]) if (release) assigned.add(release.digest);
    }
  }

  onBooted(node: SimulatedNode): void {
    const accepted = node.desired?.accepted ?? null;
    const kept = this.kept.get(node.machine);
    if (kept && (!accepted || compare(accepted, kept) < 0))
      this.findings.add(rules.monotone, `${node.process.name} boots with ${show(accepted)} after ${show(kept)}`);
    this.watched.set(node, { accepted, serving: new Map() });
    this.counts.add('boots');
  }

  onLoaded(node: SimulatedNode, version: SimulatedVersion): void {
    this.counts.add('instances');
    const name = `${node.process.name} ${version.module}@${version.version}`;
    if (!isTrustedOnNodes(version)) this.findings.add(rules.verified, name);
    if (!this.assigned.get(node.nodeId)?.has(version.release)) this.findings.add(rules.assigned, name);
  }

  onFault(node: SimulatedNode, version: SimulatedVersion): void {
    this.counts.add(`fault of ${version.behaviour.kind}`);
    this.faults.add(`${node.process.name} ${version.release}`);
  }

  onObserved(node: SimulatedNode): void {
    const watched = this.watched.get(node);
    if (!watched || !node.process.isAlive) return;
    this.checkAccepted(node, watched);
    if (node.isLeaving) return;
    const assignments = new Map(node.desired?.assignments.map((each) => [each.module, each]));
    for (const { module, active } of node.host.reports()) {
      const served = watched.serving.get(module);
      if (active !== null) {
        if (served !== active) this.counts.add('flips');
        watched.serving.set(module, active);
        continue;
      }
      const isWanted = (assignments.get(module)?.active ?? null) !== null;
      if (served === undefined || !isWanted) watched.serving.delete(module);
      else if (!this.faults.has(`${node.process.name} ${served}`))
        this.findings.add(rules.serving, `${node.process.name} ${module}, served ${served.slice(7, 15)}`);
    }
  }

  /** Whether a module's silence on this node is its version's own fault. */
  isAtFault(node: SimulatedNode, module: string): boolean {
    const served = this.watched.get(node)?.serving.get(module);
    return served === undefined || this.faults.has(`${node.process.name} ${served}`);
  }

  private checkAccepted(node: SimulatedNode, watched: Watched): void {
    const accepted = node.desired?.accepted ?? null;
    if (accepted === null) return;
    if (watched.accepted && compare(accepted, watched.accepted) < 0)
      this.findings.add(rules.monotone, `${node.process.name}: ${show(watched.accepted)} to ${show(accepted)}`);
    if (watched.accepted && compare(accepted, watched.accepted) === 0) return;
    watched.accepted = accepted;
    if (isKept(node, accepted)) this.kept.set(node.machine, accepted);
  }
}

type Position = { epoch: number; revision: number };

function isKept({ process, machine }: SimulatedNode, accepted: Position): boolean {
  const text = process.disk.files.get(`/${machine.name}/document.json`);
  return text !== undefined && compare((JSON.parse(text) as { document: Position }).document, accepted) === 0;
}

function compare(a: Position, b: Position): number {
  return compareDocuments(a, b);
}

function show(position: Position | null): string {
  return position ? `${position.epoch}.${position.revision}` : 'nothing';
}
