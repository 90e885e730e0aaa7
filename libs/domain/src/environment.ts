/** In the order in which a deployment passes through them. */
export const environments = ['Development', 'QA', 'Staging', 'Production'] as const;
export type EnvironmentName = (typeof environments)[number];

/** The strategies that HotSwap brings. */
export const strategyNames = ['Direct', 'Rolling', 'BlueGreen', 'Canary'] as const;
/** One of these, or the name of a strategy that someone else has added. */
export type StrategyName = (typeof strategyNames)[number] | (string & {});

/** The environments a deployment to `target` passes through: all up to and including it. */
export function environmentsUpTo(target: EnvironmentName): EnvironmentName[] {
  return environments.slice(0, environments.indexOf(target) + 1);
}
