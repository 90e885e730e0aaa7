import { artifactOf, moduleName, StoreWorld } from '../../../libs/infrastructure/test/store-world.js';
import { MemoryClusterStore } from '../src/store/memory-cluster-store.js';
import { MemoryControlPlaneClock } from '../src/store/memory-control-plane-clock.js';
import { MemoryDatabase } from '../src/store/memory-database.js';
import { MemoryDeploymentStore } from '../src/store/memory-deployment-store.js';
import { MemoryEvidenceStore } from '../src/store/memory-evidence-store.js';
import { MemoryModuleCatalog } from '../src/store/memory-module-catalog.js';
import { MemoryNodeRegistry } from '../src/store/memory-node-registry.js';
import { MemoryRolloutStore } from '../src/store/memory-rollout-store.js';

/** All stores on one database in memory, on the real clock. */
export class MemoryWorld extends StoreWorld {
  private readonly database = new MemoryDatabase(() => Date.now());
  readonly deployments = new MemoryDeploymentStore(this.database);
  readonly rollouts = new MemoryRolloutStore(this.database);
  readonly clusters = new MemoryClusterStore(this.database);
  readonly nodes = new MemoryNodeRegistry(this.database);
  readonly evidence = new MemoryEvidenceStore(this.database);
  readonly clock = new MemoryControlPlaneClock(this.database);

  async publish(version: string, name = moduleName): Promise<void> {
    const artifact = artifactOf(version, name);
    new MemoryModuleCatalog(this.database).publish({
      name,
      version,
      artifact,
      bytes: Buffer.from(version),
      bundles: [],
    });
  }

  async eventTypes(id: string): Promise<string[]> {
    return this.deployments.eventsOf(id).map(({ type }) => type);
  }
}
