import { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from '@hotswap/orchestrator';
import { soundParts } from './node/simulated-node.js';
import type { Composition } from './world.js';

/** The system as it is. */
export const soundComposition: Composition = {
  controlPlane: {
    rollouts: (store) => store,
    clock: (store) => store,
    strategies: [new DirectStrategy(), new RollingStrategy(), new BlueGreenStrategy(), new CanaryStrategy()],
  },
  node: soundParts,
};
