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
export const quick = { step: 0.5, end: 0.5 };
/** Nothing ends by itself. */
export const standing = { step: 3600, end: 3600 };
