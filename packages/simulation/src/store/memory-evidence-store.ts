import type { Evidence } from '@hotswap/domain';
import { EvidenceStore, type ClaimedEvidence } from '@hotswap/orchestrator';
import type { EvidenceRow, MemoryDatabase, Tables } from './memory-database.js';

type Key = Pick<Evidence, 'stageId' | 'kind' | 'subject'>;

export class MemoryEvidenceStore extends EvidenceStore {
  constructor(private readonly database: MemoryDatabase) {
    super();
  }

  async claimRequested(limit: number, leaseSeconds: number): Promise<ClaimedEvidence[]> {
    return this.database.transaction((writer) => {
      const { now } = writer;
      const open = [...writer.read.evidence]
        .filter(([, row]) => row.status === 'Requested' && row.deadlineAt > now)
        .filter(([, { claimedUntil }]) => claimedUntil === null || claimedUntil < now)
        .filter(([, row]) => deploymentOf(writer.read, row)?.finishedAt === null)
        .sort(([, a], [, b]) => a.requestedAt - b.requestedAt)
        .slice(0, limit);
      for (const [key, row] of open) writer.set('evidence', key, { ...row, claimedUntil: now + leaseSeconds * 1000 });
      return open.flatMap(([, { claimedUntil: _, ...row }]) => {
        const deployment = deploymentOf(writer.read, row);
        if (!deployment) return [];
        const environments = [...writer.read.stages.values()]
          .filter(({ deploymentId, name }) => deploymentId === deployment.id && name === 'Deploy')
          .sort((a, b) => a.ordinal - b.ordinal)
          .flatMap(({ environment }) => environment ?? []);
        return [{ ...row, module: deployment.module, version: deployment.version, environments }];
      });
    });
  }

  async answer(
    key: Key,
    answer: { status: 'Passed' | 'Refused' | 'Unknown'; message: string; data: Record<string, unknown> },
  ): Promise<void> {
    const isNew = this.database.transaction((writer) => {
      const row = writer.read.evidence.get(evidenceKey(key));
      if (row?.status !== 'Requested') return false;
      writer.set('evidence', evidenceKey(key), { ...row, ...answer, claimedUntil: null });
      const deployment = deploymentOf(writer.read, row);
      if (deployment?.finishedAt === null)
        writer.set('deployments', deployment.id, {
          ...deployment,
          nextLookAt: writer.now,
          claimedUntil: null,
          revision: deployment.revision + 1,
        });
      return true;
    });
    if (isNew) this.database.wake();
  }
}

export function evidenceKey({ stageId, kind, subject }: Key): string {
  return `${stageId} ${kind} ${subject}`;
}

function deploymentOf({ stages, deployments }: Tables, { stageId }: Pick<EvidenceRow, 'stageId'>) {
  return deployments.get(stages.get(stageId)?.deploymentId ?? '');
}
