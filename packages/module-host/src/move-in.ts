import type { InstanceLink } from './instance-link.js';
import type { Lodging } from './quarters.js';

/**
 * Takes an enclosure that responds: a spare may have ended a moment ago, which is no fault of what shall live there. Rejects as `take` does, or with the
 * signal's reason.
 */
export async function moveIn(
  take: () => Promise<Lodging>,
  connect: (lodging: Lodging) => InstanceLink,
  responseSeconds: number,
  signal: AbortSignal,
): Promise<Lodging> {
  for (;;) {
    const lodging = await take();
    const link = connect(lodging);
    if (!lodging.isSpare) return lodging;
    const responds = await link.call({ call: 'ping' }, responseSeconds).then(
      () => true,
      () => false,
    );
    if (responds) return lodging;
    lodging.enclosure.kill();
    // Its memory is taken until then; another has to fit beside it else.
    await lodging.enclosure.ended;
    signal.throwIfAborted();
  }
}
