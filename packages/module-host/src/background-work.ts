import { drain } from './drain.js';
import type { Instance } from './instance.js';

/** Sees to it that a module's background work, what it does between `activate` and `deactivate`, is never done in two instances at once. */
export class BackgroundWork {
  /** Where there may be some. */
  readonly #instances = new Set<Instance>();

  /**
   * Ends the work elsewhere, then activates `next`.
   *
   * @param onStuck the instance does not end its work when it is told to: when what is in flight in it has ended, or after `drainSeconds`, it is ended.
   * @throws LoadError of kind `activate`
   */
  async give(next: Instance, drainSeconds: number, onStuck: (instance: Instance) => void): Promise<void> {
    for (const other of [...this.#instances]) {
      if (other === next) continue;
      await other.standDown();
      if (other.isWorking) await this.#end(other, drainSeconds, onStuck);
      this.#instances.delete(other);
    }
    this.#instances.add(next);
    await next.activate();
  }

  /** What has died may still be about to end. */
  async #end(instance: Instance, drainSeconds: number, onStuck: (instance: Instance) => void): Promise<void> {
    if (instance.link.open) {
      onStuck(instance);
      await drain(instance.link, drainSeconds, null);
    }
    await instance.end('did not end its background work when it was told to');
  }
}
