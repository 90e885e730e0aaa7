import type { ReleaseSpec, TrafficRole, TrafficSample } from '@hotswap/agent-protocol';
import { ReleaseTraffic } from './traffic.js';

/** What the releases of one module experience, each in each of its roles. */
export class ModuleTraffic {
  /** Looked up for every request: a key made of role and digest would be a string to make for each. */
  readonly #byRole: Record<TrafficRole, Map<string, ReleaseTraffic>> = {
    active: new Map(),
    candidate: new Map(),
    twin: new Map(),
  };

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  of(spec: ReleaseSpec, role: TrafficRole): ReleaseTraffic {
    const byDigest = this.#byRole[role];
    let traffic = byDigest.get(spec.digest);
    if (traffic === undefined) byDigest.set(spec.digest, (traffic = new ReleaseTraffic(spec, role)));
    return traffic;
  }

  forget(instance: object): void {
    for (const traffic of this.#parts) traffic.forget(instance);
  }

  /** Counts since the last call. What has nothing to tell is forgotten, unless its release still runs. */
  take(isRunning: (digest: string) => boolean): TrafficSample[] {
    const samples: TrafficSample[] = [];
    for (const traffic of this.#parts) {
      const sample = traffic.take();
      if (sample !== null) samples.push(sample);
      else if (!isRunning(traffic.digest)) this.#byRole[traffic.role].delete(traffic.digest);
    }
    return samples;
  }

  get #parts(): ReleaseTraffic[] {
    return Object.values(this.#byRole).flatMap((byDigest) => [...byDigest.values()]);
  }
}
