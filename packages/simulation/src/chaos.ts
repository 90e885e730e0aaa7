import type { Replica } from './control-plane/replica.js';
import type { FaultKind } from './scenario.js';
import type { Tables } from './store/memory-database.js';
import { soundNetwork } from './runtime/network.js';
import { SimulatedProcess } from './runtime/simulated-process.js';
import type { World } from './world.js';

const snapshotMilliseconds = 3_000;
const snapshotsMax = 6;
const joinsMax = 2;

/** Everything that goes wrong around HotSwap, until it is told to stop; then everything is whole again. */
export class Chaos {
  private readonly process = new SimulatedProcess('chaos');
  private readonly snapshots: Tables[] = [];
  private isOver = false;
  private joinCount = 0;

  constructor(private readonly world: World) {}

  start(): void {
    const { random, scenario } = this.world;
    if (scenario.faults.length === 0) return;
    const next = () => {
      if (this.isOver) return;
      const kind = random.pick(scenario.faults);
      if (kind) this.happen(kind);
      this.after(random.between(0.1, 2 * scenario.faultIntervalSeconds), next);
    };
    this.after(random.between(2, scenario.faultIntervalSeconds), next);
    if (scenario.faults.includes('database-restore')) this.takeSnapshots();
  }

  /** Faults off: whoever is down starts, whatever is cut is joined. */
  stop(): void {
    const { world } = this;
    this.isOver = true;
    world.network.faults = soundNetwork;
    world.network.cutOff.clear();
    world.server.isRefusing = false;
    world.server.latencyMillisecondsMax = 2;
    world.server.lateCommits = 0;
    world.artifacts.isAway = false;
    for (const machine of world.machines) {
      machine.disk.isFull = false;
      this.reboot(machine);
    }
    world.replicas.forEach((replica, index) => {
      if (!replica.process.isAlive) world.startReplica(index);
    });
  }

  /** Whatever has ended is started again, as a node's supervisor does. */
  supervise(): void {
    for (const machine of this.world.machines) if (!machine.isUp && !machine.isRetired) this.world.boot(machine);
  }

  private takeSnapshots(): void {
    this.after(snapshotMilliseconds / 1000, () => {
      if (this.isOver) return;
      this.snapshots.push(this.world.database.tables);
      if (this.snapshots.length > snapshotsMax) this.snapshots.shift();
      this.takeSnapshots();
    });
  }

  private happen(kind: FaultKind): void {
    const { world } = this;
    const { random, network, server, artifacts } = world;
    const machine = random.pick(world.machines.filter(({ isUp }) => isUp));
    const index = random.whole(0, world.replicas.length - 1);
    const replica = world.replicas[index] as Replica;
    const tell = (detail: string) => {
      world.counts.add(`fault ${kind}`);
      world.log.write('chaos', `${kind} ${detail}`);
    };
    switch (kind) {
      case 'node-crash': {
        if (!machine?.node) return;
        tell(machine.name);
        machine.node.process.kill();
        this.after(random.between(0.5, 25), () => this.reboot(machine));
        return;
      }
      case 'node-freeze':
        if (!machine?.node) return;
        tell(machine.name);
        machine.node.process.frozenUntil = world.scheduler.now + random.between(1_000, 20_000);
        return;
      case 'node-leave': {
        const { node } = machine ?? {};
        if (!machine || !node || node.state !== 'Ready') return;
        tell(machine.name);
        world.scheduler.schedule(node.process, 0, () => node.leave());
        if (random.chance(0.3) && world.machines.filter((each) => !each.isRetired).length > 2) machine.isRetired = true;
        else this.after(random.between(11, 25), () => this.reboot(machine));
        return;
      }
      case 'node-join': {
        if (this.joinCount >= joinsMax) return;
        this.joinCount++;
        const environment = random.pick(world.scenario.environments);
        if (!environment) return;
        tell(environment.name);
        world.addMachine(environment.name);
        return;
      }
      case 'node-copy': {
        if (!machine?.node) return;
        tell(machine.name);
        // The one before lives on, until it is told that it is not wanted.
        world.boot(machine);
        return;
      }
      case 'node-cut-off': {
        const name = machine?.node?.process.name;
        if (!name) return;
        tell(name);
        network.cutOff.add(name);
        this.after(random.between(2, 25), () => network.cutOff.delete(name));
        return;
      }
      case 'disk-full':
        if (!machine) return;
        tell(machine.name);
        machine.disk.isFull = true;
        this.after(random.between(5, 20), () => (machine.disk.isFull = false));
        return;
      case 'replica-crash':
        if (!replica.process.isAlive) return;
        tell(replica.process.name);
        replica.kill();
        this.after(random.between(0.5, 20), () => {
          if (!this.isOver && !world.replicas[index]?.process.isAlive) world.startReplica(index);
        });
        return;
      case 'replica-freeze':
        tell(replica.process.name);
        replica.process.frozenUntil = world.scheduler.now + random.between(500, 12_000);
        return;
      case 'database-outage':
        tell('');
        server.isRefusing = true;
        this.after(random.between(1, 30), () => (server.isRefusing = false));
        return;
      case 'database-slow':
        tell('');
        server.latencyMillisecondsMax = random.between(20, 300);
        this.after(random.between(2, 15), () => (server.latencyMillisecondsMax = 2));
        return;
      case 'database-restore': {
        const snapshot = random.pick(this.snapshots);
        if (!snapshot) return;
        tell('');
        world.database.restore(snapshot);
        this.snapshots.length = 0;
        return;
      }
      case 'artifacts-away':
        tell('');
        artifacts.isAway = true;
        this.after(random.between(2, 20), () => (artifacts.isAway = false));
        return;
      case 'network':
        tell('');
        network.faults = {
          lost: random.between(0, 0.15),
          doubled: random.between(0, 0.3),
          late: random.between(0, 0.4),
          lateMillisecondsMax: random.between(50, 8_000),
        };
        this.after(random.between(5, 30), () => (network.faults = soundNetwork));
        return;
    }
  }

  private reboot(machine: World['machines'][number]): void {
    if (machine.isRetired) return;
    if (!machine.isUp) this.world.boot(machine);
    else if (machine.node?.isLeaving) this.after(2, () => this.reboot(machine));
  }

  private after(seconds: number, run: () => void): void {
    this.world.scheduler.schedule(this.process, seconds * 1000, run);
  }
}
