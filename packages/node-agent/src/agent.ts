import { hostname } from 'node:os';
import type { EnvironmentName, JoinResponse } from '@hotswap/agent-protocol';
import { kernelVersion } from '@hotswap/module-kit';
import type { AgentLog } from './agent-log.js';
import { Backoff } from './backoff.js';
import { type ControlPlane, ControlPlaneError } from './control-plane.js';
import type { DesiredState } from './desired-state.js';
import type { Identity } from './identity.js';

/** The control plane pings every 10 s. */
const silenceSeconds = 25;

export type Dismissal = 'fenced' | 'decommissioned';

export interface AgentOptions {
  settings: { environment: EnvironmentName; zone: string | null; joinToken: string | null };
  identity: Identity;
  /** Where the node is reached. */
  address: string;
  controlPlane: Pick<ControlPlane, 'join' | 'loadDocument' | 'streamDocument'>;
  desired: Pick<DesiredState, 'accepted' | 'offer'>;
  log: AgentLog;
  /** The node has joined, for the first time on this boot. */
  onJoined(): void;
  /** `desired` has accepted or refused a document. */
  onDocument(): void;
  /** The control plane wants this process no more. Called once. */
  onDismissed(dismissal: Dismissal): void;
}

/** Keeps the node in touch with the control plane: joins, follows the document stream, joins again where it is not known any more. */
export class Agent {
  private readonly stopping = new AbortController();
  private joining: Promise<void> | null = null;
  private running: Promise<void> | null = null;

  constructor(private readonly options: AgentOptions) {}

  start(): void {
    this.running = this.run();
  }

  /** No document is accepted any more. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Acts on an answer that refuses this node as a whole; resolves once another try makes sense, or the agent has stopped. */
  async refused(error: ControlPlaneError): Promise<void> {
    if (error.fenced) this.dismiss('fenced');
    else if (error.decommissioned) this.dismiss('decommissioned');
    else if (error.unknownNode) await this.join();
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async run(): Promise<void> {
    await this.join();
    if (this.stopped) return;
    this.options.onJoined();
    const backoff = new Backoff(250, 10_000);
    let isCutOff = false;
    while (!this.stopped) {
      let documentCount = 0;
      try {
        await this.options.controlPlane.streamDocument(silenceSeconds, this.stopping.signal, async (document) => {
          documentCount++;
          if (isCutOff) this.options.log.info('the document stream is back');
          isCutOff = false;
          await this.offer(document);
        });
      } catch (error) {
        if (this.stopped) return;
        if (!isCutOff) this.options.log.warn(`following the document by polling: ${(error as Error).message}`);
        isCutOff = true;
        if (error instanceof ControlPlaneError) await this.refused(error);
      }
      if (documentCount > 0) backoff.reset();
      else await this.poll();
      await backoff.wait(this.stopping.signal);
    }
  }

  /** What a stream that brings nothing, as through a proxy that holds it back, can't tell. */
  private async poll(): Promise<void> {
    try {
      await this.offer(await this.options.controlPlane.loadDocument(this.stopping.signal));
    } catch (error) {
      if (this.stopped) return;
      this.options.log.debug(`polling the document failed: ${(error as Error).message}`);
      if (error instanceof ControlPlaneError) await this.refused(error);
    }
  }

  private async join(): Promise<void> {
    this.joining ??= this.tryToJoin().finally(() => (this.joining = null));
    return this.joining;
  }

  /** Tries until the node has joined or the agent stops. */
  private async tryToJoin(): Promise<void> {
    const { log, identity } = this.options;
    const backoff = new Backoff(250, 5_000);
    let lastProblem = '';
    while (!this.stopped) {
      try {
        const answer = await this.joinOnce();
        await identity.keepSecret(answer.secret);
        log.info('joined the control plane');
        await this.offer(answer.document);
        return;
      } catch (error) {
        if (this.stopped) return;
        const { message } = error as Error;
        if (message !== lastProblem) log.warn(`can't join the control plane, trying on: ${message}`);
        lastProblem = message;
        if (error instanceof ControlPlaneError && (error.fenced || error.decommissioned)) await this.refused(error);
        await backoff.wait(this.stopping.signal);
      }
    }
  }

  /** By the node's own secret; where that is not known any more, as after a restore of the database, by the join token. */
  private async joinOnce(): Promise<JoinResponse> {
    const { settings, identity, controlPlane, desired, address } = this.options;
    const request = {
      nodeId: identity.nodeId,
      environment: settings.environment,
      bootId: identity.bootId,
      pid: process.pid,
      hostname: hostname(),
      address,
      zone: settings.zone,
      kernelVersion,
      accepted: desired.accepted,
    };
    const { signal } = this.stopping;
    if (identity.secret === null) return controlPlane.join(request, settings.joinToken, signal);
    try {
      return await controlPlane.join(request, identity.secret, signal);
    } catch (error) {
      if (!(error instanceof ControlPlaneError) || !error.unknownNode) throw error;
      return controlPlane.join(request, settings.joinToken, signal);
    }
  }

  private async offer(document: unknown): Promise<void> {
    const { desired, log } = this.options;
    const verdict = await desired.offer(document);
    if (verdict.kind === 'unchanged') return;
    if (verdict.kind === 'refused') log.error(`refused a document: ${verdict.because}`);
    else log.info(desired.accepted ?? {}, 'accepted a document');
    if (verdict.kind === 'accepted' && verdict.notKept !== null)
      log.error(`the document can't be kept for a restart: ${verdict.notKept}`);
    this.options.onDocument();
  }

  private dismiss(dismissal: Dismissal): void {
    if (this.stopped) return;
    this.stopping.abort();
    this.options.onDismissed(dismissal);
  }
}
