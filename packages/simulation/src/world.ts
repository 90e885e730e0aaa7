import type { EnvironmentName } from '@hotswap/domain';
import { describeRelease } from '@hotswap/orchestrator';
import type { SimulatedVersion } from './behaviour.js';
import { DatabaseServer } from './control-plane/database-server.js';
import { Replica, type ControlPlaneParts, type Stores } from './control-plane/replica.js';
import type { Counts, Findings } from './findings.js';
import { Log } from './log.js';
import { Machine, type NodeParts, type NodeWatch } from './node/simulated-node.js';
import { enterWorld, instantOf, resetIds } from './runtime/install-world.js';
import { Network } from './runtime/network.js';
import { Random } from './runtime/random.js';
import { Scheduler } from './runtime/scheduler.js';
import { SimulatedProcess } from './runtime/simulated-process.js';
import type { Scenario } from './scenario.js';
import { MemoryClusterStore } from './store/memory-cluster-store.js';
import { MemoryControlPlaneClock } from './store/memory-control-plane-clock.js';
import { MemoryDatabase, recordKey, type Tables } from './store/memory-database.js';
import { MemoryDeploymentStore } from './store/memory-deployment-store.js';
import { MemoryEvidenceStore } from './store/memory-evidence-store.js';
import { MemoryModuleCatalog } from './store/memory-module-catalog.js';
import { MemoryNodeRegistry } from './store/memory-node-registry.js';
import { MemoryRolloutStore } from './store/memory-rollout-store.js';
import { MemoryTrafficPacker } from './store/traffic.js';

/** What the system under simulation is put together from. */
export interface Composition {
  controlPlane: ControlPlaneParts;
  node: NodeParts;
}

export interface Watchers extends NodeWatch {
  onCommit(before: Tables, after: Tables): void;
}

const joinToken = 'join token';
const outside = new SimulatedProcess('outside');

/** One seed's world: a database, control plane processes, machines, and what is between them. */
export class World {
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly network: Network;
  readonly server: DatabaseServer;
  readonly database: MemoryDatabase;
  readonly deployments: MemoryDeploymentStore;
  readonly clusters: MemoryClusterStore;
  readonly stores: Stores;
  readonly artifacts = { isAway: false };
  readonly versions: ReadonlyMap<string, SimulatedVersion>;
  readonly machines: Machine[] = [];
  readonly replicas: Replica[] = [];
  private readonly nodeRandom: Random;
  private readonly bootCounts = new Map<EnvironmentName, number>();
  private replicaStarts = 0;

  constructor(
    readonly scenario: Scenario,
    readonly random: Random,
    readonly findings: Findings,
    readonly counts: Counts,
    private readonly composition: Composition,
    private readonly watchers: Watchers,
    scheduler: Scheduler,
  ) {
    this.scheduler = scheduler;
    this.nodeRandom = random.fork();
    this.log = new Log(() => scheduler.now);
    this.network = new Network(scheduler, random.fork());
    this.server = new DatabaseServer(scheduler, random.fork());
    this.server.lateCommits = scenario.lateCommits;
    this.database = new MemoryDatabase(
      () => instantOf(scheduler.now),
      (before, after) => watchers.onCommit(before, after),
    );
    this.versions = new Map(scenario.versions.map((version) => [version.artifact, version]));
    const { database } = this;
    this.deployments = new MemoryDeploymentStore(database);
    this.clusters = new MemoryClusterStore(database);
    this.stores = {
      rollouts: new MemoryRolloutStore(database),
      clusters: this.clusters,
      evidence: new MemoryEvidenceStore(database),
      nodes: new MemoryNodeRegistry(database),
      traffic: new MemoryTrafficPacker(database),
      catalog: new MemoryModuleCatalog(database),
      clock: () => new MemoryControlPlaneClock(database),
    };
  }

  /** A scheduler that the code under simulation meets from here on. */
  static schedule(random: Random): Scheduler {
    const scheduler = new Scheduler(outside, random);
    enterWorld(scheduler);
    resetIds();
    return scheduler;
  }

  begin(): void {
    this.writeRows();
    for (let index = 0; index < this.scenario.replicaCount; index++) this.startReplica(index);
    for (const { name, nodeCount } of this.scenario.environments)
      for (let count = 0; count < nodeCount; count++) this.addMachine(name);
  }

  startReplica(index: number): void {
    const replica = new Replica(`replica-${index + 1}.${++this.replicaStarts}`, this.drawClock(), {
      ...this,
      parts: this.composition.controlPlane,
      joinToken,
    });
    this.replicas[index] = replica;
    this.scheduler.schedule(replica.process, 10, () => replica.start());
  }

  addMachine(environment: EnvironmentName): void {
    const number = (this.bootCounts.get(environment) ?? 0) + 1;
    this.bootCounts.set(environment, number);
    const machine = new Machine(`${environment.slice(0, 4)}-${number}`, environment, this.drawClock(), {
      network: this.network,
      balancer: () => this.balance(),
      random: this.nodeRandom,
      log: this.log,
      versions: this.versions,
      joinToken,
      parts: this.composition.node,
      watch: this.watchers,
      counts: this.counts,
    });
    this.machines.push(machine);
    this.boot(machine);
  }

  boot(machine: Machine): void {
    const node = machine.boot();
    this.scheduler.schedule(node.process, this.random.between(5, 300), () => void node.start());
  }

  /** Mostly one that lives: a balancer learns of a dead one a little late. */
  private balance(): Replica {
    const alive = this.replicas.filter(({ process }) => process.isAlive);
    const known = alive.length > 0 && this.nodeRandom.chance(0.95) ? alive : this.replicas;
    return this.nodeRandom.pick(known) as Replica;
  }

  private drawClock(): SimulatedProcess['clock'] {
    const { random } = this;
    if (!random.chance(0.3)) return { aheadMilliseconds: 0, rate: 1 };
    return { aheadMilliseconds: random.between(-3_600_000, 3_600_000), rate: random.between(0.95, 1.05) };
  }

  private writeRows(): void {
    const { scenario, database } = this;
    const catalog = new MemoryModuleCatalog(database);
    for (const { module, version, artifact } of scenario.versions)
      catalog.publish({ name: module, version, artifact, bytes: Buffer.from(version), bundles: [] });
    database.transaction((writer) => {
      for (const { name, policy } of scenario.environments) {
        writer.set('environments', name, { policy, policyRevision: 1, membershipRevision: 1 });
        if (scenario.isSettled) for (const module of scenario.modules) this.writeRecord(writer, name, module);
      }
    });
  }

  private writeRecord(
    writer: Parameters<Parameters<MemoryDatabase['transaction']>[0]>[0],
    environment: EnvironmentName,
    module: string,
  ): void {
    const first = this.scenario.versions.find((each) => each.module === module);
    if (!first) return;
    const { version, artifact } = first;
    const release = describeRelease({ module, version, artifact, configurationRevision: 0, configuration: {} });
    const key = recordKey(environment, module);
    writer.set('records', key, { environment, module, release, previous: null, ownerStageId: null, revision: 1 });
  }
}
