import type { JoinRequest, NodeDocument, NodeReport } from '@hotswap/agent-protocol';

export type JoinOutcome =
  | { kind: 'joined'; document: NodeDocument }
  /** Known with another secret than the caller's, or as a node of another environment. */
  | { kind: 'identity-taken' | 'decommissioned' };

export type ReportOutcome = 'accepted' | 'repeated' | 'fenced' | 'decommissioned' | 'unknown-node';

/** What nodes say and are told, and what people ask of them. */
export abstract class NodeRegistry {
  /** Registers or re-registers a node; the newest boot wins. `secretHash` replaces the node's when it is new or re-joins by the join token. */
  abstract join(request: JoinRequest, secretHash: string, knownSecretHash: string | null): Promise<JoinOutcome>;
  /** Hash of the node's secret; null: unknown node. */
  abstract secretHash(nodeId: string): Promise<string | null>;
  /** Keeps what a node says: heartbeat, observations, traffic; each (boot, sequence) counts once. Sends no NOTIFY. */
  abstract report(nodeId: string, report: NodeReport): Promise<ReportOutcome>;
  abstract document(nodeId: string): Promise<NodeDocument | null>;
  /** Newest (epoch, revision) of the documents of these nodes: what a stream compares with what it last sent. */
  abstract documentRevisions(nodeIds: string[]): Promise<Map<string, { epoch: number; revision: number }>>;
  /** Asks the node's present boot to leave its traffic, by its next document; another boot is not meant. False: no such node. */
  abstract drain(nodeId: string): Promise<boolean>;
  /** Takes the node out of its cluster for good; whatever it says next is answered `decommissioned`. False: no such node (any more). */
  abstract decommission(nodeId: string): Promise<boolean>;
}
