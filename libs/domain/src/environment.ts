/** In the order in which a deployment passes through them. */
export const environments = ['Development', 'QA', 'Staging', 'Production'] as const;
export type EnvironmentName = (typeof environments)[number];

export const strategyNames = ['Direct', 'Rolling', 'BlueGreen', 'Canary'] as const;
export type StrategyName = (typeof strategyNames)[number];

/** The environments a deployment to `target` passes through: all up to and including it. */
export function environmentsUpTo(target: EnvironmentName): EnvironmentName[] {
  return environments.slice(0, environments.indexOf(target) + 1);
}
