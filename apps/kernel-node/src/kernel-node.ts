import { setTimeout as delay } from 'node:timers/promises';
import type { ReleaseSpec, ReportedNodeState } from '@hotswap/agent-protocol';
import { encloseIn, type LoadableRelease, ModuleHost, type ModuleLogEntry } from '@hotswap/module-host';
import { loadTrustFile } from '@hotswap/module-kit';
import { Agent, ControlPlane, DesiredState, type Dismissal, Identity, Reporter } from '@hotswap/node-agent';
import { ArtifactCache } from './artifacts/artifact-cache.js';
import { loadRelease } from './artifacts/load-release.js';
import type { Logger } from './log.js';
import { Metrics } from './metrics.js';
import type { ProblemCode } from './traffic/problem.js';
import { ProcessFigures } from './process-figures.js';
import { ReadinessGate } from './traffic/readiness-gate.js';
import { Router } from './traffic/router.js';
import { advertisedAddress, type Settings } from './settings.js';
import { traceIdOf, Tracing } from './tracing.js';
import { type Readiness, TrafficServer } from './traffic/traffic-server.js';

const lastReportMs = 3_000;
const tracingShutdownMs = 1_000;
const hurriedDrainSeconds = 1;

/** Why a node ended: it was told to, or the control plane wants it no more. */
export type Ending = 'stopped' | Dismissal;

/** One kernel node, from Starting to Gone. Runs no module's code itself. */
export class KernelNode {
  private state: ReportedNodeState = 'Starting';
  private readonly end = Promise.withResolvers<Ending>();
  private readonly hurry = new AbortController();
  private leaving = false;
  /** Resolves when the node is Draining; null while it is not to leave its traffic. */
  private trafficLeft: Promise<void> | null = null;
  private readonly gate = new ReadinessGate();
  private readonly metrics = new Metrics();
  private readonly figures = new ProcessFigures();
  private readonly host: ModuleHost;
  private readonly reporter: Reporter;
  private readonly router: Router;
  private readonly server: TrafficServer;
  private agent: Agent | null = null;
  /** Artifact digests of the releases loaded on this boot, by release digest. */
  private readonly artifacts = new Map<string, string>();

  private constructor(
    private readonly settings: Settings,
    private readonly log: Logger,
    private readonly identity: Identity,
    private readonly controlPlane: ControlPlane,
    private readonly cache: ArtifactCache,
    private readonly desired: DesiredState,
    private readonly tracing: Tracing,
  ) {
    this.host = new ModuleHost({
      log: (entry) => this.logModule(entry),
      onChange: () => this.observe(),
      load: (spec, signal, traceparent) => this.load(spec, signal, traceparent),
      onPhase: (phase) => {
        tracing.record(phase);
        this.metrics.observePhase(phase);
      },
      enclose: encloseIn(cache.instancesDirectory),
      memoryBytesMax: settings.memoryMiB * 2 ** 20,
      spareCountMax: settings.spares,
      timing: { clientIdleSeconds: settings.clientIdleSeconds },
    });
    this.reporter = new Reporter({
      bootId: identity.bootId,
      log,
      figures: this.figures,
      state: () => this.state,
      status: () => ({
        accepted: desired.accepted,
        refused: desired.refused,
        diverged: desired.diverged,
        modules: this.host.reports(),
        memory: this.memory(),
      }),
      takeTraffic: () => this.host.takeTraffic(),
      takeProbes: () => this.host.takeProbes(),
      onTraffic: (traffic) => {
        this.metrics.observeTraffic(traffic);
        this.metrics.observeMemory(this.host.memory());
      },
      send: (report, signal) => controlPlane.report(report, signal),
      onRefused: async (error) => this.agent?.refused(error),
    });
    const isLeaving = () => this.trafficLeft !== null;
    const onProblem = (code: ProblemCode) => this.metrics.observeProblem(code);
    const { clientIdleSeconds } = settings;
    this.router = new Router({ host: this.host, log, isLeaving, clientIdleSeconds, onProblem });
    this.server = new TrafficServer({
      router: this.router,
      log,
      isLeaving,
      onProblem,
      readiness: () => this.readiness(),
      metrics: () => this.metrics.render(),
    });
    this.metrics.observeState(this.state);
  }

  /** Listens, applies what an earlier process of this node accepted last, and begins to join. Throws where the node can't start at all. */
  static async start(settings: Settings, rootLog: Logger): Promise<KernelNode> {
    const identity = await Identity.load(settings.nodeDirectory, settings.environment);
    const log = rootLog.child({ node: identity.nodeId, boot: identity.bootId });
    await loadTrustFile(settings.trustFile);
    const controlPlane = new ControlPlane(settings.orchestratorUrl, identity);
    const warn = (problem: string) => log.warn(problem);
    const cache = await ArtifactCache.open(settings.nodeDirectory, identity.bootId, controlPlane, warn);
    const desired = await DesiredState.load(settings.nodeDirectory, warn);
    const tracing = await Tracing.start(settings, identity.nodeId);
    const node = new KernelNode(settings, log, identity, controlPlane, cache, desired, tracing);
    await node.begin();
    return node;
  }

  /** Resolves when the node has ended. */
  get ended(): Promise<Ending> {
    return this.end.promise;
  }

  /** Leaves the traffic politely, drains and ends; called again it waits no longer than it must. */
  leave(ending: Ending): void {
    if (this.leaving) {
      this.hurry.abort();
      return;
    }
    this.leaving = true;
    this.goThrough(ending).then(() => this.end.resolve(ending), this.end.reject);
  }

  private async begin(): Promise<void> {
    const port = await this.server.listen(this.settings.host, this.settings.port);
    const address = advertisedAddress(this.settings, port);
    this.log.info({ address, port, state: this.state }, 'listening');
    this.agent = new Agent({
      settings: this.settings,
      identity: this.identity,
      address,
      controlPlane: this.controlPlane,
      desired: this.desired,
      log: this.log,
      onJoined: () => this.reporter.connect(),
      onDocument: () => this.applyDesired(),
      onDismissed: (dismissal) => this.dismissed(dismissal),
    });
    if (this.desired.accepted) {
      this.log.info(this.desired.accepted, 'starting from the document kept on disk');
      this.applyDesired();
    }
    this.reporter.start();
    this.agent.start();
  }

  private applyDesired(): void {
    this.host.apply([...this.desired.assignments]);
    this.observe();
    // It stays, and answers what still comes: whoever was slow to notice has no request fail.
    if (this.desired.drainedBootId === this.identity.bootId) void this.leaveTraffic();
  }

  /** Looks at what has become of the modules. */
  private observe(): void {
    const reports = this.host.reports();
    this.metrics.observeModules(reports);
    this.gate.observe(this.desired.assignments, reports);
    if (this.state === 'Starting' && this.desired.accepted && this.host.settled) {
      this.gate.open(this.desired.assignments);
      this.enter('Ready');
    }
    this.reporter.notice();
  }

  private async load(spec: ReleaseSpec, signal: AbortSignal, traceparent: string | null): Promise<LoadableRelease> {
    this.artifacts.set(spec.digest, spec.artifact);
    const release = await loadRelease(spec, traceparent, signal, {
      cache: this.cache,
      tracing: this.tracing,
      environment: this.settings.environment,
      nodeId: this.identity.nodeId,
      trustFile: this.settings.trustFile,
      secretsDirectory: this.settings.secretsDirectory,
    });
    this.cache.evict(this.artifactsInUse()).catch((error: Error) => {
      this.log.warn(`the artifact cache can't be trimmed: ${error.message}`);
    });
    return release;
  }

  private artifactsInUse(): Set<string> {
    const running = new Set(this.host.reports().flatMap(({ instances }) => instances.map(({ release }) => release)));
    for (const release of this.artifacts.keys()) if (!running.has(release)) this.artifacts.delete(release);
    const desired = this.desired.assignments.flatMap(({ active, candidate, warm, fallback }) =>
      [active, candidate, fallback, ...warm].flatMap((spec) => spec?.artifact ?? []),
    );
    return new Set([...desired, ...this.artifacts.values()]);
  }

  private memory(): { bytesMax: number; takenBytes: number } {
    const { bytesMax, taken } = this.host.memory();
    return { bytesMax, takenBytes: Object.values(taken).reduce((sum, bytes) => sum + bytes, 0) };
  }

  private readiness(): Readiness {
    const reports = this.host.reports();
    const missing = this.gate.missing(reports);
    const members = { state: this.state, missingModules: missing };
    if (this.state !== 'Ready') return { ready: false, because: `The node is ${this.state}.`, members };
    const because = missing.length > 0 ? `Without an active release: ${missing.join(', ')}.` : null;
    return { ready: because === null, because, members };
  }

  private dismissed(dismissal: Dismissal): void {
    this.reporter.stop();
    if (dismissal === 'fenced')
      this.log.error('a later process of this node has registered: this one is a copy, and ends');
    else this.log.warn('this node was decommissioned, and ends');
    this.leave(dismissal);
  }

  /** The way out. Every wait in it has a limit, and ends at once when hurried. */
  private async goThrough(ending: Ending): Promise<void> {
    const { drainSeconds } = this.settings;
    await this.leaveTraffic();
    await this.agent?.stop();
    const deadline = performance.now() + drainSeconds * 1000;
    this.server.stopAccepting();
    const drained = await Promise.race([
      this.router.idle().then(() => true),
      this.pause(drainSeconds, hurriedDrainSeconds).then(() => false),
    ]);
    if (!drained) this.log.warn({ inFlight: this.router.inFlight }, 'requests did not end in time and are cut');
    this.server.closeConnections();
    const leftSeconds = Math.max(hurriedDrainSeconds, (deadline - performance.now()) / 1000);
    await this.host.close(this.hurry.signal.aborted ? hurriedDrainSeconds : leftSeconds);

    this.enter('Gone');
    if (ending === 'stopped') await this.reporter.finish(lastReportMs);
    if (ending === 'decommissioned')
      await this.identity.keepDecommissioned().catch((error: Error) => {
        this.log.error(`that this node was decommissioned can't be kept for a restart: ${error.message}`);
      });
    this.figures.close();
    const warn = (error: Error) => this.log.warn(`on the way out: ${error.message}`);
    await this.cache.close().catch(warn);
    const tooLate = delay(tracingShutdownMs, undefined, { ref: false }).then(() => {
      throw new Error(`nobody took the last spans within ${tracingShutdownMs / 1000} s`);
    });
    await Promise.race([this.tracing.close(), tooLate]).catch(warn);
  }

  /** Readiness fails at once; everything is served on, each answer as the last of its connection. Once. */
  private leaveTraffic(): Promise<void> {
    this.trafficLeft ??= this.beLameDuck();
    return this.trafficLeft;
  }

  private async beLameDuck(): Promise<void> {
    this.enter('LameDuck');
    await this.pause(this.settings.lameDuckSeconds);
    this.enter('Draining');
  }

  /** Waits, when hurried only for `hurriedSeconds`. */
  private async pause(seconds: number, hurriedSeconds = 0): Promise<void> {
    await delay(seconds * 1000, undefined, { signal: this.hurry.signal }).catch(() => delay(hurriedSeconds * 1000));
  }

  private enter(state: ReportedNodeState): void {
    this.state = state;
    this.metrics.observeState(state);
    this.log.info({ state }, `the node is ${state}`);
    this.reporter.noticeState();
  }

  /** What the host says of a module is about the deployment that asked for it; what the module says is not. */
  private logModule({ level, source, module, release, pid, message }: ModuleLogEntry): void {
    const assignment = source === 'host' && this.desired.assignments.find((each) => each.module === module);
    const traceId = (assignment && traceIdOf(assignment.traceparent)) || undefined;
    this.log[level]({ module: release ?? module, source, pid, traceId }, message);
  }
}
