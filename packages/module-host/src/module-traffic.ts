import type { ReleaseSpec, TrafficRole, TrafficSample } from '@hotswap/agent-protocol';
import { ReleaseTraffic } from './traffic.js';

/** What the releases of one module experience, each in each of its roles. */
export class ModuleTraffic {
  /** By role, then by digest: a key put together from both would be a part of what each request costs. */
  readonly #parts: Record<TrafficRole, Map<string, ReleaseTraffic>> = {
    active: new Map(),
    candidate: new Map(),
    twin: new Map(),
  };

  get isEmpty(): boolean {
    return Object.values(this.#parts).every((parts) => parts.size === 0);
  }

  of(spec: ReleaseSpec, role: TrafficRole): ReleaseTraffic {
    const parts = this.#parts[role];
    let traffic = parts.get(spec.digest);
    if (traffic === undefined) parts.set(spec.digest, (traffic = new ReleaseTraffic(spec, role)));
    return traffic;
  }

  forget(instance: object): void {
    for (const parts of Object.values(this.#parts)) for (const traffic of parts.values()) traffic.forget(instance);
  }

  /** Counts since the last call. What has nothing to tell is forgotten, unless its release still runs. */
  take(isRunning: (digest: string) => boolean): TrafficSample[] {
    const samples: TrafficSample[] = [];
    for (const parts of Object.values(this.#parts))
      for (const [digest, traffic] of parts) {
        const sample = traffic.take();
        if (sample !== null) samples.push(sample);
        else if (!isRunning(digest)) parts.delete(digest);
      }
    return samples;
  }
}
