import type { JoinRequest, NodeDocument, NodeReport } from '@hotswap/agent-protocol';
import { NodeRegistry, type JoinOutcome, type ReportOutcome } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { decommissionNode } from './decommission-node.js';
import { drainNode } from './drain-node.js';
import { joinNode } from './join-node.js';
import { keepReport } from './keep-report.js';

@Injectable()
export class PostgresNodeRegistry extends NodeRegistry {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  join(request: JoinRequest, secretHash: string, knownSecretHash: string | null): Promise<JoinOutcome> {
    return joinNode(this.dataSource, request, secretHash, knownSecretHash);
  }

  async secretHash(nodeId: string): Promise<string | null> {
    const [node] = await this.dataSource.query<{ secret_hash: string }[]>(
      'SELECT secret_hash FROM hotswap.node WHERE id = $1',
      [nodeId],
    );
    return node?.secret_hash ?? null;
  }

  report(nodeId: string, report: NodeReport): Promise<ReportOutcome> {
    return keepReport(this.dataSource, nodeId, report);
  }

  async document(nodeId: string): Promise<NodeDocument | null> {
    const [newest] = await this.dataSource.query<{ document: NodeDocument }[]>(
      `SELECT document FROM hotswap.node
       JOIN hotswap.node_document ON node_id = node.id AND epoch = document_epoch AND revision = document_revision
       WHERE node.id = $1 AND decommissioned_at IS NULL`,
      [nodeId],
    );
    return newest?.document ?? null;
  }

  async documentRevisions(nodeIds: string[]): Promise<Map<string, { epoch: number; revision: number }>> {
    const rows = await this.dataSource.query<{ id: string; epoch: number; revision: number }[]>(
      `SELECT id, document_epoch AS epoch, document_revision AS revision FROM hotswap.node
       WHERE id = ANY($1) AND decommissioned_at IS NULL`,
      [nodeIds],
    );
    return new Map(rows.map(({ id, epoch, revision }) => [id, { epoch, revision }]));
  }

  drain(nodeId: string): Promise<boolean> {
    return drainNode(this.dataSource, nodeId);
  }

  decommission(nodeId: string): Promise<boolean> {
    return decommissionNode(this.dataSource, nodeId);
  }
}
