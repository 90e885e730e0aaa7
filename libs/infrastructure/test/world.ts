import type { DataSource } from 'typeorm';
import { PostgresClusterStore } from '../src/clusters/postgres-cluster-store.js';
import { PostgresDeploymentStore } from '../src/deployments/postgres-deployment-store.js';
import { PostgresEvidenceStore } from '../src/evidence/postgres-evidence-store.js';
import { PostgresMetricStore } from '../src/metrics/postgres-metric-store.js';
import { PostgresModuleCatalog } from '../src/modules/postgres-module-catalog.js';
import { PostgresNodeRegistry } from '../src/nodes/postgres-node-registry.js';
import { PostgresControlPlaneClock } from '../src/postgres-control-plane-clock.js';
import { PostgresRolloutStore } from '../src/rollouts/postgres-rollout-store.js';
import { artifactOf, moduleName, StoreWorld } from './store-world.js';

export * from './store-world.js';

/** All stores on one Postgres database. */
export class World extends StoreWorld {
  readonly catalog: PostgresModuleCatalog;
  readonly deployments: PostgresDeploymentStore;
  readonly rollouts: PostgresRolloutStore;
  readonly clusters: PostgresClusterStore;
  readonly nodes: PostgresNodeRegistry;
  readonly metrics: PostgresMetricStore;
  readonly evidence: PostgresEvidenceStore;
  readonly clock: PostgresControlPlaneClock;

  constructor(readonly dataSource: DataSource) {
    super();
    this.catalog = new PostgresModuleCatalog(dataSource);
    this.deployments = new PostgresDeploymentStore(dataSource);
    this.rollouts = new PostgresRolloutStore(dataSource);
    this.clusters = new PostgresClusterStore(dataSource);
    this.nodes = new PostgresNodeRegistry(dataSource);
    this.metrics = new PostgresMetricStore(dataSource);
    this.evidence = new PostgresEvidenceStore(dataSource);
    this.clock = new PostgresControlPlaneClock(dataSource);
  }

  async publish(version: string, name = moduleName) {
    const bytes = Buffer.from(`${name}@${version}`);
    return this.catalog.publish({
      name,
      version,
      digest: artifactOf(version, name),
      bytes,
      manifest: { manifest: 1, entry: 'dist/module.js', route: name },
      bundles: [{ mediaType: 'bundle', of: version }],
      signers: ['payments-team'],
    });
  }

  /** As if a control plane went on beating, however long the test takes: silence is judged only while one does. */
  async keepBeating(): Promise<void> {
    await this.clock.beat();
    await this.rows(`UPDATE hotswap.control_plane_beat SET at = now() + interval '1 hour'`);
  }

  async eventTypes(id: string): Promise<string[]> {
    return (await this.deployments.events(id, { limit: 200, cursor: null }))!.items.map(({ type }) => type);
  }

  async rows<T>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    return this.dataSource.query<T[]>(sql, parameters);
  }
}
