import type { ProbeOrder, TrafficRole, TrafficSample } from '@hotswap/agent-protocol';
import type { SmokeCheck } from '@hotswap/module-kit';
import { replyOf } from './http.js';
import type { Instance } from './instance.js';
import { smokeTest } from './smoke-test.js';
import { ReleaseTraffic } from './traffic.js';

/** Tells a module that nobody waits for the answer but the node. */
const probeHeader = ['x-hotswap-probe', '1'];

/** Who is compared with whom; `share` (0-100) of the probes go to the candidate. */
export interface ProbePair {
  candidate: Instance;
  reference: Instance;
  referenceRole: Exclude<TrafficRole, 'candidate'>;
  share: number;
}

/**
 * Sends the manifest's smoke requests to candidate and reference while the document asks for it: each to the one that a coin of the users' own odds
 * names, one at a time, so many at most. What gets no answer, or another one than its release's manifest expects, has failed. Counted apart from what users send.
 */
export class Prober {
  #order: ProbeOrder | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sentCount = 0;
  #isSending = false;
  readonly #traffic = new Map<string, ReleaseTraffic>();

  /** @param pair null while one of the two does not serve: a one-sided probe would tilt the coin. */
  constructor(private readonly pair: () => ProbePair | null) {}

  /** Null ends it. The same order again goes on, one with another id begins anew. */
  follow(order: ProbeOrder | null): void {
    if (order?.id === this.#order?.id) return;
    this.#order = order;
    this.#sentCount = 0;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (order === null || order.requestsPerSecond <= 0) return;
    this.#timer = setInterval(() => void this.#probe(order), 1000 / order.requestsPerSecond);
    this.#timer.unref();
  }

  /** Counts since the last call. */
  takeTraffic(): TrafficSample[] {
    const samples = [...this.#traffic.values()].map((traffic) => traffic.take());
    this.#traffic.clear();
    return samples.filter((sample) => sample !== null);
  }

  async #probe({ id, requestsMax }: ProbeOrder): Promise<void> {
    const pair = this.#isSending || this.#sentCount >= requestsMax ? null : this.pair();
    if (pair === null) return;
    const requests = commonRequests(pair);
    const request = requests[this.#sentCount % requests.length];
    if (request === undefined) return;
    this.#sentCount++;
    this.#isSending = true;
    const isCandidate = Math.random() * 100 < pair.share;
    const { failed, seconds } = await send(isCandidate ? pair.candidate : pair.reference, request);
    this.#isSending = false;
    // What was asked of processes that the document has ended is held against nobody.
    if (this.#order?.id !== id) return;
    this.#count(pair, isCandidate, seconds, failed);
  }

  #count({ candidate, reference, referenceRole }: ProbePair, isCandidate: boolean, seconds: number, failed: boolean) {
    const { spec } = isCandidate ? candidate : reference;
    const role = isCandidate ? 'candidate' : referenceRole;
    const key = `${role} ${spec.digest}`;
    const traffic = this.#traffic.get(key) ?? new ReleaseTraffic(spec, role);
    this.#traffic.set(key, traffic);
    traffic.count(seconds, failed);
  }
}

/** What both releases say they can answer: the request is chosen before the release, so that it can't depend on it. */
function commonRequests({ candidate, reference }: ProbePair): string[] {
  const known = new Set(reference.manifest.smoke.map(keyOf));
  return candidate.manifest.smoke.map(keyOf).filter((key) => known.has(key));
}

function keyOf({ request: { method, path, headers, json } }: SmokeCheck): string {
  return JSON.stringify([method, path, headers, json]);
}

async function send(instance: Instance, key: string): Promise<{ failed: boolean; seconds: number }> {
  const check = instance.manifest.smoke.filter((each) => keyOf(each) === key);
  const beganAt = performance.now();
  let seconds: number | null = null;
  const failed = await smokeTest(
    (request) =>
      replyOf((reply) =>
        instance.send(
          { ...request, headers: [...request.headers, ...probeHeader] },
          reply,
          (result) => (seconds = result.seconds),
        ),
      ),
    check,
    instance.manifest.health.timeoutSeconds,
  ).then(
    () => false,
    () => true,
  );
  return { failed, seconds: seconds ?? (performance.now() - beganAt) / 1000 };
}
