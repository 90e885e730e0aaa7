import { isDeepStrictEqual } from 'node:util';
import type { ModuleAssignment, NodeDocument } from '@hotswap/agent-protocol';
import { warmSecondsOf, type EnvironmentName, type NodePlan, type PlannedNode } from '@hotswap/domain';
import { findUnfinished } from './deployment-rows.js';
import type { AssignmentRow, NodeRow, Tables, Writer } from './memory-database.js';

export interface PlannedModule extends PlannedNode {
  module: string;
  traceparent: string | null;
}

/** Writes what nodes are to run, and the next document of each node whose wishes changed. Answers how many plans were new. */
export function writeAssignments(writer: Writer, plans: readonly PlannedModule[]): number {
  const changed = new Map<string, AssignmentRow[]>();
  let written = 0;
  for (const { nodeId, module, plan, traceparent } of plans) {
    const node = writer.read.nodes.get(nodeId);
    if (!node || node.isDecommissioned) continue;
    const held = node.assignments.get(module);
    if (held && isSame(held, plan)) continue;
    written++;
    const { epoch, revision } = node.document;
    const row: AssignmentRow = {
      ...normal(plan),
      assignedAt: writer.now,
      traceparent,
      epoch,
      revision: revision + (changed.has(nodeId) ? 0 : 1),
    };
    changed.set(nodeId, [...(changed.get(nodeId) ?? []), row]);
    const assignments = new Map(node.assignments).set(module, row);
    const document = { ...node.document, revision: row.revision };
    writer.set('nodes', nodeId, { ...node, assignments, document });
  }
  for (const nodeId of changed.keys()) composeDocument(writer, nodeId);
  return written;
}

/** Where stages of the module have ended: nodes whose way back no deployment holds any more are told the policy's time. */
export function endHolding(writer: Writer, module: string, environments: readonly EnvironmentName[]): void {
  for (const node of writer.read.nodes.values()) {
    if (!environments.includes(node.environment) || node.isDecommissioned || isHeld(writer.read, node, module))
      continue;
    const told = node.document.modules.find((each) => each.module === module);
    if (!told || told.policy.warmSeconds === writer.read.environments.get(node.environment)?.policy.warmSeconds)
      continue;
    const document = { ...node.document, revision: node.document.revision + 1 };
    writer.set('nodes', node.id, { ...node, document });
    composeDocument(writer, node.id);
  }
}

function isHeld(tables: Tables, { environment }: NodeRow, module: string): boolean {
  return findUnfinished(tables, module, [environment]) !== null;
}

/** Composes a node's document at the (epoch, revision) in its row. */
export function composeDocument(writer: Writer, nodeId: string): void {
  const node = writer.read.nodes.get(nodeId);
  if (node) writer.set('nodes', nodeId, { ...node, document: documentOf(writer.read, node) });
}

function documentOf(tables: Tables, node: NodeRow): NodeDocument {
  const policy = tables.environments.get(node.environment)?.policy;
  if (!policy) throw new Error(node.environment);
  const { epoch, revision } = node.document;
  const modules = [...node.assignments]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([
        module,
        { active, candidate, candidatePercent, twin, probe, warm, fallback, traceparent },
      ]): ModuleAssignment => ({
        module,
        active,
        candidate,
        candidatePercent,
        ...(twin && { twin }),
        ...(probe && { probe }),
        warm,
        fallback,
        policy: {
          warmSeconds: warmSecondsOf(policy, isHeld(tables, node, module)),
          drainSeconds: policy.drainSeconds,
        },
        traceparent,
      }),
    );
  const { drainedBootId } = node;
  return { epoch, revision, ...(drainedBootId !== null && { drainedBootId }), modules };
}

function normal({ active, candidate, candidatePercent, twin, probe, warm, fallback }: NodePlan): NodePlan {
  return { active, candidate, candidatePercent, twin: twin || undefined, probe, warm, fallback };
}

function isSame(a: NodePlan, b: NodePlan): boolean {
  return (
    a.active?.digest === b.active?.digest &&
    a.candidate?.digest === b.candidate?.digest &&
    a.candidatePercent === b.candidatePercent &&
    (a.twin ?? false) === (b.twin ?? false) &&
    isDeepStrictEqual(a.probe, b.probe) &&
    a.fallback?.digest === b.fallback?.digest &&
    a.warm.map(({ digest }) => digest).join() === b.warm.map(({ digest }) => digest).join()
  );
}
