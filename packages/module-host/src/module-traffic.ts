import type { ReleaseSpec, TrafficRole, TrafficSample } from '@hotswap/agent-protocol';
import { ReleaseTraffic } from './traffic.js';

/** What the releases of one module experience, each in each of its roles. */
export class ModuleTraffic {
  readonly #parts = new Map<string, ReleaseTraffic>();

  get isEmpty(): boolean {
    return this.#parts.size === 0;
  }

  of(spec: ReleaseSpec, role: TrafficRole): ReleaseTraffic {
    const key = `${role} ${spec.digest}`;
    let traffic = this.#parts.get(key);
    if (traffic === undefined) this.#parts.set(key, (traffic = new ReleaseTraffic(spec, role)));
    return traffic;
  }

  forget(instance: object): void {
    for (const traffic of this.#parts.values()) traffic.forget(instance);
  }

  /** Counts since the last call. What has nothing to tell is forgotten, unless its release still runs. */
  take(isRunning: (digest: string) => boolean): TrafficSample[] {
    const samples: TrafficSample[] = [];
    for (const [key, traffic] of this.#parts) {
      const sample = traffic.take();
      if (sample !== null) samples.push(sample);
      else if (!isRunning(traffic.digest)) this.#parts.delete(key);
    }
    return samples;
  }
}
