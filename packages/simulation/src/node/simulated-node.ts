import type { EnvironmentName, ModuleAssignment, ReleaseSpec, ReportedNodeState } from '@hotswap/agent-protocol';
import { LoadError, ModuleHost, type Enclose, type HostTiming, type LoadableRelease } from '@hotswap/module-host';
import { Agent, DesiredState, Identity, Reporter, type Dismissal } from '@hotswap/node-agent';
import { isTrustedOnNodes, type SimulatedVersion } from '../behaviour.js';
import type { Replica } from '../control-plane/replica.js';
import type { Counts } from '../findings.js';
import type { Log } from '../log.js';
import { currentProcess } from '../runtime/install-world.js';
import type { Network } from '../runtime/network.js';
import type { Random } from '../runtime/random.js';
import { SimulatedProcess, type Disk } from '../runtime/simulated-process.js';
import { SimulatedControlPlane } from './simulated-control-plane.js';
import { SimulatedInstance } from './simulated-instance.js';

const lastReportMilliseconds = 3_000;
const lameDuckMilliseconds = 500;
const leaveSeconds = 8;
const fetchAttempts = 4;
/** Shorter than a node's own, as the simulation's policies are. */
const timing: Partial<HostTiming> = {
  loadSeconds: 5,
  startSeconds: 5,
  stopSeconds: 2,
  pingSeconds: 4,
  stallSeconds: 8,
  retrySecondsMax: 8,
};

/** What a node has of the control plane's wishes. */
export type AcceptedState = Pick<DesiredState, 'accepted' | 'refused' | 'diverged' | 'assignments' | 'offer'>;

/** What a test may take out of a node to see that it is missed. */
export interface NodeParts {
  desiredState(load: () => Promise<AcceptedState>): Promise<AcceptedState>;
  /** What the host is told of the assignments in force. */
  assignments(inForce: readonly ModuleAssignment[]): ModuleAssignment[];
}

export const soundParts: NodeParts = { desiredState: (load) => load(), assignments: (inForce) => [...inForce] };

/** What the simulation keeps an eye on in a node. */
export interface NodeWatch {
  onBooted(node: SimulatedNode): void;
  /** Something may have changed of what it runs. */
  onObserved(node: SimulatedNode): void;
  onLoaded(node: SimulatedNode, version: SimulatedVersion): void;
  /** An instance has ended, or stands still, by what its version does. */
  onFault(node: SimulatedNode, version: SimulatedVersion): void;
}

export interface NodeSurroundings {
  network: Network;
  balancer: () => Replica;
  random: Random;
  log: Log;
  versions: ReadonlyMap<string, SimulatedVersion>;
  joinToken: string;
  parts: NodeParts;
  watch: NodeWatch;
  counts: Counts;
}

/** One machine with a kernel node: boots, crashes and leaves again and again, with what its disk has kept. */
export class Machine {
  readonly disk: Disk = { files: new Map(), isFull: false };
  /** It has left for good. */
  isRetired = false;
  private readonly boots: SimulatedNode[] = [];

  constructor(
    readonly name: string,
    readonly environment: EnvironmentName,
    private readonly clock: SimulatedProcess['clock'],
    private readonly surroundings: NodeSurroundings,
  ) {}

  /** Also beside a process that lives still: a copy. */
  boot(): SimulatedNode {
    const process = new SimulatedProcess(`${this.name}.${this.boots.length + 1}`, this.clock, this.disk);
    const node = new SimulatedNode(this, process, this.surroundings);
    this.boots.push(node);
    return node;
  }

  /** The newest that lives, or the last that did. */
  get node(): SimulatedNode | null {
    return this.boots.findLast(({ process }) => process.isAlive) ?? this.boots.at(-1) ?? null;
  }

  get isUp(): boolean {
    return this.node?.process.isAlive ?? false;
  }
}

/**
 * A kernel node as `apps/kernel-node` puts it together, without sockets: the real agent, desired state, reporter and module host, whose instances are
 * in-process.
 */
export class SimulatedNode {
  state: ReportedNodeState = 'Starting';
  isLeaving = false;
  desired: AcceptedState | null = null;
  readonly host: ModuleHost;
  identity: Identity | null = null;
  private reporter: Reporter | null = null;
  private agent: Agent | null = null;
  private controlPlane: SimulatedControlPlane | null = null;

  constructor(
    readonly machine: Machine,
    readonly process: SimulatedProcess,
    private readonly surroundings: NodeSurroundings,
  ) {
    this.host = new ModuleHost({
      log: ({ level, release, message }) => this.log(level, `${release ?? ''} ${message}`),
      onChange: () => this.observe(),
      load: (spec, signal) => this.load(spec, signal),
      enclose: this.enclose,
      timing,
    });
  }

  get nodeId(): string {
    return this.identity?.nodeId ?? '';
  }

  async start(): Promise<void> {
    const { surroundings, machine } = this;
    const identity = (this.identity = await Identity.load(`/${machine.name}`, machine.environment));
    const { network, balancer, parts, joinToken } = surroundings;
    const controlPlane = new SimulatedControlPlane(this.process, identity, network, balancer);
    const warn = (problem: string) => this.log('warn', problem);
    const desired = (this.desired = await parts.desiredState(() => DesiredState.load(`/${machine.name}`, warn)));
    const log = this.logger();
    const reporter = (this.reporter = new Reporter({
      bootId: identity.bootId,
      log,
      figures: { take: () => ({ cpuSeconds: 0, rssBytes: 0, eventLoopDelaySeconds: 0 }) },
      state: () => this.state,
      status: () => ({
        accepted: desired.accepted,
        refused: desired.refused,
        diverged: desired.diverged,
        modules: this.host.reports(),
      }),
      takeTraffic: () => this.host.takeTraffic(),
      takeProbes: () => this.host.takeProbes(),
      onTraffic: () => undefined,
      send: (report, signal) => controlPlane.report(report, signal),
      onRefused: async (error) => this.agent?.refused(error),
    }));
    this.controlPlane = controlPlane;
    this.agent = new Agent({
      settings: { environment: machine.environment, zone: null, joinToken },
      identity,
      address: `http://${machine.name}`,
      controlPlane,
      desired,
      log,
      onJoined: () => reporter.connect(),
      onDocument: () => this.applyDesired(),
      onDismissed: (dismissal) => this.dismissed(dismissal),
    });
    surroundings.watch.onBooted(this);
    if (desired.accepted) this.applyDesired();
    reporter.start();
    this.agent.start();
  }

  /** Leaves politely, as on SIGTERM. */
  leave(isStopped = true): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    void this.goThrough(isStopped);
  }

  private applyDesired(): void {
    if (!this.desired) return;
    if (this.desired.refused !== null) this.surroundings.counts.add('documents refused');
    this.host.apply(this.surroundings.parts.assignments(this.desired.assignments));
    this.observe();
  }

  private observe(): void {
    if (this.state === 'Starting' && this.desired?.accepted && this.host.settled) this.enter('Ready');
    this.reporter?.notice();
    this.surroundings.watch.onObserved(this);
  }

  private async goThrough(isStopped: boolean): Promise<void> {
    this.enter('LameDuck');
    await new Promise((resolve) => setTimeout(resolve, lameDuckMilliseconds));
    this.enter('Draining');
    await this.agent?.stop();
    await this.host.close(leaveSeconds);
    this.enter('Gone');
    if (isStopped) await this.reporter?.finish(lastReportMilliseconds);
    this.process.kill();
  }

  private dismissed(dismissal: Dismissal): void {
    this.log('warn', `dismissed: ${dismissal}`);
    this.surroundings.counts.add(`dismissed ${dismissal}`);
    this.reporter?.stop();
    this.leave(false);
  }

  private enter(state: ReportedNodeState): void {
    this.state = state;
    this.log('info', state);
    this.reporter?.noticeState();
  }

  /** Fetch, then verify with this node's own trust, as `load-release.ts` does. */
  private async load(spec: ReleaseSpec, signal: AbortSignal): Promise<LoadableRelease> {
    const version = this.surroundings.versions.get(spec.artifact);
    if (!version || !this.controlPlane) throw new LoadError('fetch', `There is no artifact ${spec.artifact}`);
    await this.fetch(spec.artifact, signal, this.controlPlane);
    if (!isTrustedOnNodes(version)) throw new LoadError('signature', 'Not trusted on this node');
    const { environment, name } = this.machine;
    return {
      spec,
      manifest: manifestOf(spec.module),
      directory: `/${name}/${spec.artifact}`,
      environment,
      node: this.nodeId,
      secretsDirectory: null,
    };
  }

  private async fetch(artifact: string, signal: AbortSignal, from: SimulatedControlPlane): Promise<void> {
    const { files } = this.process.disk;
    if (files.has(artifact)) return;
    for (let attempt = 1; ; attempt++) {
      try {
        await from.fetchArtifact(artifact, signal);
        files.set(artifact, 'fetched');
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        if (attempt === fetchAttempts) throw new LoadError('fetch', (error as Error).message);
      }
    }
  }

  private readonly enclose: Enclose = () => {
    const { versions, random, watch } = this.surroundings;
    const find = (module: string, version: string) => {
      const found = [...versions.values()].find((each) => each.module === module && each.version === version);
      if (!found) throw new Error(`Nothing is known of ${module}@${version}`);
      return found;
    };
    return new SimulatedInstance(find, random, {
      onLoaded: (_, version) => watch.onLoaded(this, version),
      onFault: (_, version) => watch.onFault(this, version),
    });
  };

  private logger() {
    const line =
      (level: string) =>
      (fields: object | string, message?: string): void =>
        this.log(level, typeof fields === 'string' ? fields : `${JSON.stringify(fields)} ${message}`);
    return { debug: () => undefined, info: line('info'), warn: line('warn'), error: line('error') };
  }

  private log(level: string, message: string): void {
    if (currentProcess() !== this.process)
      throw new Error(`${this.process.name} runs within an event of ${currentProcess().name}: ${message}`);
    this.surroundings.log.write(this.process.name, `${level} ${message}`);
  }
}

function manifestOf(module: string): LoadableRelease['manifest'] {
  return {
    manifest: 1,
    entry: 'module.js',
    route: module,
    kernel: '*',
    isolation: 'process',
    permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false },
    limits: { memoryMiB: 128, requestSeconds: 6, requestBodyMiB: 1, inFlight: 1000 },
    health: { path: null, timeoutSeconds: 2 },
    smoke: [],
  };
}
