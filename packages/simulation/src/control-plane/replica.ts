import type { Strategy } from '@hotswap/domain';
import {
  ArtifactVerifier,
  DeploymentPipeline,
  EvidenceGatherer,
  ReconcileLoop,
  StrategyRegistry,
  type ClusterStore,
  type ControlPlaneClock,
  type EvidenceStore,
  type ModuleCatalog,
  type NodeRegistry,
  type RolloutStore,
  type TrafficPacker,
  type Verdict,
} from '@hotswap/orchestrator';
import type { SimulatedVersion } from '../behaviour.js';
import type { Network } from '../runtime/network.js';
import { SimulatedProcess } from '../runtime/simulated-process.js';
import type { MemoryDatabase } from '../store/memory-database.js';
import type { DatabaseServer } from './database-server.js';
import { NodeApi, type ArtifactStore } from './node-api.js';

/** What the control plane is made of; a test hands in another to see that the sound one is missed. */
export interface ControlPlaneParts {
  rollouts(store: RolloutStore): RolloutStore;
  clock(store: ControlPlaneClock): ControlPlaneClock;
  strategies: Strategy[];
}

export interface Stores {
  rollouts: RolloutStore;
  clusters: ClusterStore;
  evidence: EvidenceStore;
  nodes: NodeRegistry;
  traffic: TrafficPacker;
  catalog: Pick<ModuleCatalog, 'artifactBytes' | 'bundles'>;
  /** Each process has its own. */
  clock(): ControlPlaneClock;
}

export interface ReplicaSurroundings {
  database: MemoryDatabase;
  server: DatabaseServer;
  network: Network;
  stores: Stores;
  parts: ControlPlaneParts;
  versions: ReadonlyMap<string, SimulatedVersion>;
  joinToken: string;
  artifacts: ArtifactStore;
}

/** One orchestrator process: the real reconcile loop on connections that fail, and the node protocol. */
export class Replica {
  readonly process: SimulatedProcess;
  readonly api: NodeApi;
  private readonly loop: ReconcileLoop;
  private readonly unsubscribe: () => void;

  constructor(name: string, clock: SimulatedProcess['clock'], surroundings: ReplicaSurroundings) {
    const { database, server, network, stores, parts, versions, joinToken, artifacts } = surroundings;
    const process = (this.process = new SimulatedProcess(name, clock));
    const connect = <T extends object>(store: T): T => server.connect(store, process);
    this.api = new NodeApi(process, connect(stores.nodes), network, joinToken, artifacts);
    // Wake-ups come over the network as well, and are lost on it.
    const wakers = new Set<() => void>();
    this.unsubscribe = database.subscribe(() =>
      network.send(server.process, process, () => wakers.forEach((wake) => wake())),
    );
    wakers.add(() => this.api.nudge());
    const wakeUps = {
      subscribe: (wake: () => void) => {
        wakers.add(wake);
        return () => void wakers.delete(wake);
      },
    };
    const catalog = connect(stores.catalog) as ModuleCatalog;
    this.loop = new ReconcileLoop(
      connect(parts.rollouts(stores.rollouts)),
      connect(stores.clusters),
      connect(parts.clock(stores.clock())),
      wakeUps,
      new EvidenceGatherer(connect(stores.evidence), catalog, new SimulatedVerifier(versions)),
      new DeploymentPipeline(new StrategyRegistry(parts.strategies)),
      connect(stores.traffic),
    );
  }

  /** Called by an event of its own process. */
  start(): void {
    this.api.start();
    void this.loop.onApplicationBootstrap();
  }

  kill(): void {
    this.process.kill();
    this.unsubscribe();
  }
}

/** Knows by the version what a check of its signatures would come to. */
class SimulatedVerifier extends ArtifactVerifier {
  constructor(private readonly versions: ReadonlyMap<string, SimulatedVersion>) {
    super({} as ConstructorParameters<typeof ArtifactVerifier>[0]);
  }

  override verify({ digest }: { digest: string }): Verdict {
    return this.versions.get(digest)?.behaviour.kind === 'unsigned'
      ? { trusted: false, because: 'Nobody has signed it' }
      : { trusted: true, signers: ['simulated-team'] };
  }
}
