import { look, stageOf, type Deployment } from './deployments.js';
import type { Environment, LocalCluster } from './local-cluster.js';
import { waitFor } from './wait-for.js';

export const strategies = ['Direct', 'Rolling', 'BlueGreen', 'Canary'] as const;
export type StrategyName = (typeof strategies)[number];

/** How long an environment waits where its strategy waits: long enough to be decided, or until someone takes it back. */
export function strategyPolicy(strategy: StrategyName, seconds: { step: number; end: number }) {
  return {
    strategy,
    rolling: { maxUnavailable: '1', maxSurge: '0', minimumReadySeconds: seconds.step },
    blueGreen: { autoPromote: true, bakeSeconds: seconds.step },
    canary: {
      scout: { percent: 5, seconds: Math.min(seconds.step, 0.5) },
      steps: [
        { percent: 40, minimumSeconds: seconds.step, maximumSeconds: seconds.step },
        { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
      ],
    },
    validateSeconds: seconds.end,
  };
}

/** Every wait is decided upon, and soon over. */
export const quick = { step: 1, end: 1 };
/** Nothing ends by itself. */
export const standing = { step: 3600, end: 3600 };

/** Where a rollout with `standing` comes to stand for good, unless someone promotes it. */
const middle: Record<StrategyName, { code: string; step: number }> = {
  Direct: { code: 'validating', step: 1 },
  Rolling: { code: 'minimum-ready', step: 1 },
  BlueGreen: { code: 'baking', step: 3 },
  Canary: { code: 'baking', step: 1 },
};

/** Waits until a rollout with `standing` stands in the middle of its way, so many steps further on where it was promoted. */
export async function waitForMiddle(
  cluster: LocalCluster,
  id: string,
  environment: Environment,
  strategy: StrategyName,
  further = 0,
): Promise<Deployment> {
  const { code, step } = middle[strategy];
  return waitFor(`the middle of ${strategy}`, async () => {
    const deployment = await look(cluster, id);
    const number = deployment && stageOf(deployment, environment)?.step?.number;
    return deployment?.reason.code === code && number === step + further ? deployment : null;
  });
}
