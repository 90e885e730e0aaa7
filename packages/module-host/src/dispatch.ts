import type { TrafficRole } from '@hotswap/agent-protocol';
import { HostError } from './errors.js';
import type { ExchangeResult } from './exchange.js';
import type { Hold } from './hold.js';
import { headerOf, refusedMethods, type HostRequest, type Reply } from './http.js';
import type { Instance } from './instance.js';
import type { ModuleTraffic } from './module-traffic.js';
import type { ProbePair } from './prober.js';
import { roleOfDraw, shareDraw } from './share-draw.js';

/** Which of a module's instances a request is given to, and what becomes of it is counted. The slot sets the pointers; they are read once per request. */
export class Dispatch {
  /** The pointer that a flip moves. */
  active: Instance | null = null;
  candidate: Instance | null = null;
  candidatePercent = 0;
  twin: Instance | null = null;
  /** While state is handed over, requests wait here. */
  hold: Hold | null = null;

  constructor(
    private readonly module: string,
    private readonly traffic: ModuleTraffic,
  ) {}

  /** @throws a HostError or the request signal's reason, where that is known at once; the reply is told of no more then. */
  handle(request: HostRequest, reply: Reply): void {
    if (this.hold !== null) return this.#handleLater(this.hold, request, reply);
    const { role, instance } = this.#choose(request);
    if (instance === null) throw new HostError('module-not-ready', `${this.module} is not ready.`, null);
    if (request.signal.aborted) throw request.signal.reason;
    const { name, manifest } = instance;
    if (refusedMethods.has(request.method))
      throw new HostError('method-not-allowed', `No module can be asked by ${request.method}.`, name);
    instance.expectRoom();
    const bodyBytesMax = manifest.limits.requestBodyMiB * 1024 * 1024;
    if (request.body !== null && Number(headerOf(request.headers, 'content-length')) > bodyBytesMax)
      throw new HostError('body-too-large', `${name} takes at most ${manifest.limits.requestBodyMiB} MiB.`, name);
    const traffic = this.traffic.of(instance.spec, role);
    traffic.inFlight++;
    instance.send(request, reply, ({ outcome, seconds }: ExchangeResult) => {
      traffic.inFlight--;
      if (outcome !== 'abandoned') traffic.count(seconds, outcome === 'failed');
    });
  }

  #handleLater(hold: Hold, request: HostRequest, reply: Reply): void {
    hold
      .wait(request)
      .then(() => this.handle(request, reply))
      .catch((error: unknown) => reply.fail(error));
  }

  /** One draw decides, before anything else is looked at: what a release experiences must not depend on which one was drawn. */
  #choose(request: HostRequest): { role: TrafficRole; instance: Instance | null } {
    const share = this.candidatePercent;
    const draw = share === 0 ? 100 : shareDraw(request, this.active?.manifest.affinity?.header ?? null, this.module);
    const role = roleOfDraw(draw, share);
    if (role === 'candidate' && this.candidate?.serving === true) return { role, instance: this.candidate };
    if (role === 'twin' && this.twin?.serving === true) return { role, instance: this.twin };
    return { role: 'active', instance: this.active?.serving === true ? this.active : null };
  }

  /** As many probes go to the candidate as to its twin; without one, as many as it gets of the users' requests. */
  probePair(isPaired: boolean): ProbePair | null {
    const reference = isPaired ? this.twin : this.active;
    if (this.candidate?.serving !== true || reference?.serving !== true || this.hold !== null) return null;
    return {
      candidate: this.candidate,
      reference,
      referenceRole: isPaired ? 'twin' : 'active',
      share: isPaired ? 50 : this.candidatePercent,
    };
  }
}
