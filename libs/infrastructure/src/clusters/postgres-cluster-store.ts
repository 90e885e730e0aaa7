import type { EnvironmentCluster, EnvironmentName, PlannedNode, Policy } from '@hotswap/domain';
import { ClusterStore, type RemoveOutcome, type VersionedPolicy } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { inTransaction } from '../database/in-transaction.js';
import { readConsistently } from '../database/read-consistently.js';
import { notifyWake } from '../wake.js';
import { loadCluster } from './load-cluster.js';
import { removeModule } from './remove-module.js';
import { replacePolicy } from './replace-policy.js';
import { writeAssignments } from './write-assignments.js';

@Injectable()
export class PostgresClusterStore extends ClusterStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  load(environment: EnvironmentName): Promise<EnvironmentCluster> {
    return readConsistently(this.dataSource, (manager, now) => loadCluster(manager, environment, now));
  }

  async activeDeployments(environment: EnvironmentName): Promise<Map<string, string>> {
    const rows = await this.dataSource.query<{ module: string; deployment_id: string }[]>(
      `SELECT record.module, deployment_id
       FROM hotswap.environment_release AS record
       JOIN hotswap.deployment_stage AS stage ON stage.id = record.owner_stage_id
       WHERE record.environment = $1`,
      [environment],
    );
    return new Map(rows.map(({ module, deployment_id }) => [module, deployment_id]));
  }

  assign(cluster: EnvironmentCluster, plans: (PlannedNode & { module: string })[]): Promise<number> {
    if (plans.length === 0) return Promise.resolve(0);
    return inTransaction(this.dataSource, async (manager) => {
      const current = await lockUnownedRecords(manager, cluster.environment, [
        ...new Set(plans.map(({ module }) => module)),
      ]);
      const seen = new Map(cluster.releases.map(({ module, revision }) => [module, revision]));
      const written = await writeAssignments(
        manager,
        plans
          .filter(({ module }) => current.has(module) && current.get(module) === seen.get(module))
          .map((plan) => ({ ...plan, traceparent: null })),
      );
      if (written > 0) await notifyWake(manager);
      return written;
    });
  }

  removeModule(environment: EnvironmentName, module: string): Promise<RemoveOutcome> {
    return removeModule(this.dataSource, environment, module);
  }

  async policy(environment: EnvironmentName): Promise<VersionedPolicy> {
    const [row] = await this.dataSource.query<{ policy: Policy; policy_revision: number }[]>(
      'SELECT policy, policy_revision FROM hotswap.environment WHERE name = $1',
      [environment],
    );
    if (!row) throw new Error(`There is no environment "${environment}" in the database`);
    return { policy: row.policy, revision: row.policy_revision };
  }

  replacePolicy(
    environment: EnvironmentName,
    policy: Policy,
    expectedRevision: number,
  ): Promise<VersionedPolicy | null> {
    return replacePolicy(this.dataSource, environment, policy, expectedRevision);
  }
}

/** Revisions of the records that no rollout owns, by module. */
async function lockUnownedRecords(
  manager: EntityManager,
  environment: EnvironmentName,
  modules: string[],
): Promise<Map<string, number>> {
  const rows = await manager.query<{ module: string; revision: number; owner_stage_id: string | null }[]>(
    `SELECT module, revision, owner_stage_id FROM hotswap.environment_release
     WHERE environment = $1 AND module = ANY($2) ORDER BY module FOR UPDATE`,
    [environment, modules],
  );
  return new Map(
    rows.filter(({ owner_stage_id }) => owner_stage_id === null).map(({ module, revision }) => [module, revision]),
  );
}
