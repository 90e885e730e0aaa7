import type { RolloutView } from '../rollout/rollout-view.js';

/** The node that goes first: the same one as long as it is there; the first on which stable can run, so that there is something to compare with. */
export function chooseScout({ cluster, module, stable, progress }: RolloutView): string | null {
  const { live } = cluster;
  const present = live.find(({ id }) => id === progress?.scoutNodeId);
  const whole = live.find((node) => !stable || !node.isBroken(module, stable));
  return (present ?? whole ?? live[0])?.id ?? null;
}
