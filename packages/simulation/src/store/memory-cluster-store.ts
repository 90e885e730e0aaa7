import type { EnvironmentCluster, EnvironmentName, PlannedNode, Policy } from '@hotswap/domain';
import { ClusterStore, type RemoveOutcome, type VersionedPolicy } from '@hotswap/orchestrator';
import { findUnfinished, isUnfinished } from './deployment-rows.js';
import { loadCluster } from './load-cluster.js';
import { recordKey, type EnvironmentRow, type MemoryDatabase } from './memory-database.js';
import { writeAssignments } from './write-assignments.js';

export class MemoryClusterStore extends ClusterStore {
  constructor(private readonly database: MemoryDatabase) {
    super();
  }

  async load(environment: EnvironmentName): Promise<EnvironmentCluster> {
    return loadCluster(this.database.tables, environment, this.database.now());
  }

  async activeDeployments(environment: EnvironmentName): Promise<Map<string, string>> {
    const { records, stages } = this.database.tables;
    const owned = [...records.values()].filter((record) => record.environment === environment && record.ownerStageId);
    return new Map(
      owned.map(({ module, ownerStageId }) => [module, stages.get(ownerStageId ?? '')?.deploymentId ?? '']),
    );
  }

  async assign(cluster: EnvironmentCluster, plans: (PlannedNode & { module: string })[]): Promise<number> {
    if (plans.length === 0) return 0;
    const seen = new Map(cluster.releases.map(({ module, revision }) => [module, revision]));
    const written = this.database.transaction((writer) => {
      const open = plans.filter(({ module }) => {
        const record = writer.read.records.get(recordKey(cluster.environment, module));
        return record && record.ownerStageId === null && record.revision === seen.get(module);
      });
      return writeAssignments(
        writer,
        open.map((plan) => ({ ...plan, traceparent: null })),
      );
    });
    if (written > 0) this.database.wake();
    return written;
  }

  async removeModule(environment: EnvironmentName, module: string): Promise<RemoveOutcome> {
    const holder = findUnfinished(this.database.tables, module, [environment], '');
    if (holder) return { kind: 'deployment-in-progress', id: holder };
    const key = recordKey(environment, module);
    const record = this.database.tables.records.get(key);
    if (!record?.release) return { kind: 'not-there' };
    this.database.transaction((writer) =>
      writer.set('records', key, { ...record, release: null, previous: null, revision: record.revision + 1 }),
    );
    return { kind: 'removed' };
  }

  async policy(environment: EnvironmentName): Promise<VersionedPolicy> {
    const { policy, policyRevision } = this.row(environment);
    return { policy, revision: policyRevision };
  }

  async replacePolicy(
    environment: EnvironmentName,
    policy: Policy,
    expectedRevision: number,
  ): Promise<VersionedPolicy | null> {
    const row = this.row(environment);
    if (row.policyRevision !== expectedRevision) return null;
    const revision = row.policyRevision + 1;
    this.database.transaction((writer) => {
      writer.set('environments', environment, { ...row, policy, policyRevision: revision });
      for (const deployment of writer.read.deployments.values()) {
        const isJudgedByIt = [...writer.read.stages.values()].some(
          (stage) =>
            stage.deploymentId === deployment.id && stage.environment === environment && isUnfinished(stage.status),
        );
        if (deployment.nextLookAt !== null && isJudgedByIt)
          writer.set('deployments', deployment.id, { ...deployment, nextLookAt: writer.now });
      }
    });
    this.database.wake();
    return { policy, revision };
  }

  private row(environment: EnvironmentName): EnvironmentRow {
    const row = this.database.tables.environments.get(environment);
    if (!row) throw new Error(`There is no environment "${environment}" in the database`);
    return row;
  }
}
