/** The metrics a candidate is judged by; docs/analysis.md says what each one compares. */
export const metricNames = ['err', 'errS', 'abs', 'p90', 'p99', 'cpu', 'mem', 'grow'] as const;
export type MetricName = (typeof metricNames)[number];
export type GaugeName = 'cpu' | 'mem' | 'grow';

/** How many nodes take part, the candidate's share of their requests (0-0.5), and when the stage ends unproved. */
export type PlanEntry = readonly [nodes: number | 'all', weight: number, limitSeconds: number];

/**
 * Every number of the analysis. The short names are those of the formulae in docs/analysis.md, so that a parameter file
 * and a formula read alike; durations are in seconds.
 */
export interface AnalysisParameters {
  /** Chance of a crossing by a healthy candidate in a whole deployment: act when E >= 1 / alpha. */
  alpha: number;
  /** Margin of the error share against the twin: a candidate up to this many times worse is not accused. */
  rho: number;
  /** The same against twin and stable together. */
  rhoS: number;
  /** The bets: share of the wealth staked per counted event. */
  G: readonly number[];
  /** Start times that a metric's E is averaged over; one per stage, one not reached yet counts 1. */
  J: number;
  /** An error share below this is never accused by `abs`. */
  qAbs: number;
  /** Assumed standard deviation of one instance's luck (logarithm of its latency, CPU or memory level). */
  tau: number;
  /** Growth from one latency bucket to the next. */
  F: number;
  /** Excess over the margin (logarithm) at which a gauge bets its whole stake. */
  L: number;
  /** Half-life of the latency histogram that the edges come from. */
  edgeHalf: number;
  /** Half-life of the error rate that `abs` compares with. */
  absHalf: number;
  /** Requests the latency histogram must hold before an edge is taken from it. */
  minEdge: number;
  /** Weight of each metric in E; together at most 1. */
  W: Readonly<Record<MetricName, number>>;
  /** Smallest margin of each gauge (logarithm of the ratio). */
  lvl: Readonly<Record<GaugeName, number>>;
  plan: readonly PlanEntry[];
  /** Per stage of the plan: "not worse" is proved as "error rate below R times the twin's". */
  R: readonly number[];
  /** Chance of a false proof: proved when both mirrors reach 1 / beta. */
  beta: number;
  /** An excess of the error rate smaller than this is not "worse", whatever its ratio. */
  eps: number;
  /** Shortest stage. */
  minStage: number;
  /** Shortest time from the start of the candidate's processes to 100 %. */
  bake: number;
  /** False: no second instance of the stable release runs; the candidate is compared with stable. */
  twin: boolean;
  /** Without the twin: first seconds of a candidate process that are not counted. */
  excludedSeconds: number;
  /** Spacing of the gauges' bets. */
  gaugeSeconds: number;
  /** Contain when the candidate reported nothing for this long while its reference did. */
  silenceSeconds: number;
  /** The sample-ratio alarm voids the experiment at this E. */
  voidAt: number;
}

export const standardParameters: AnalysisParameters = {
  alpha: 0.01,
  rho: 1.15,
  rhoS: 1.5,
  G: [0.05, 0.15, 0.4, 0.9],
  J: 5,
  qAbs: 0.1,
  tau: 0.03,
  F: 1.1,
  L: 0.1,
  edgeHalf: 60,
  absHalf: 30,
  minEdge: 50,
  W: { err: 0.25, errS: 0.15, abs: 0.1, p90: 0.15, p99: 0.1, cpu: 0.1, mem: 0.05, grow: 0.1 },
  lvl: { cpu: 0.095, mem: 0.15, grow: 0.05 },
  plan: [
    [1, 0.05, 60],
    ['all', 0.1, 300],
    ['all', 0.3, 600],
    ['all', 0.5, 600],
  ],
  R: [5, 5, 3, 2],
  beta: 0.05,
  eps: 0.001,
  minStage: 60,
  bake: 900,
  twin: true,
  excludedSeconds: 45,
  gaugeSeconds: 15,
  silenceSeconds: 30,
  voidAt: 1000,
};

/** For modules too big for three instances: no CPU and no memory metric, because stable is older and carries another load. */
export const withoutTwinParameters: AnalysisParameters = {
  ...standardParameters,
  twin: false,
  W: { err: 0.55, errS: 0, abs: 0.1, p90: 0.2, p99: 0.15, cpu: 0, mem: 0, grow: 0 },
};

/** What is wrong with a parameter, where, and what it may be. */
export class AnalysisParameterError extends Error {
  override name = 'AnalysisParameterError';
}

type Rule = (value: unknown) => string | null;
const numberIn =
  (low: number, high: number): Rule =>
  (value) =>
    typeof value === 'number' && value >= low && value <= high ? null : `a number from ${low} to ${high}`;
const integerIn =
  (low: number, high: number): Rule =>
  (value) =>
    Number.isInteger(value) ? numberIn(low, high)(value) : `a whole number from ${low} to ${high}`;
const listOf =
  (rule: Rule, what: string): Rule =>
  (value) =>
    Array.isArray(value) && value.length >= 1 && value.length <= 20 && value.every((entry) => rule(entry) === null)
      ? null
      : `a list of 1 to 20 ${what}`;
const recordOf =
  (keys: readonly string[], rule: Rule): Rule =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return `an object of ${keys.join(', ')}`;
    for (const [key, entry] of Object.entries(value)) {
      if (!keys.includes(key)) return `an object of ${keys.join(', ')} only (not "${key}")`;
      const expected = rule(entry);
      if (expected !== null) return `an object whose "${key}" is ${expected}`;
    }
    return null;
  };

const seconds = numberIn(0, 604_800);
const planEntry: Rule = (value) =>
  Array.isArray(value) &&
  value.length === 3 &&
  (value[0] === 'all' || integerIn(1, 10_000)(value[0]) === null) &&
  numberIn(0.001, 0.5)(value[1]) === null &&
  seconds(value[2]) === null
    ? null
    : 'stage';

const rules: Record<keyof AnalysisParameters, Rule> = {
  alpha: numberIn(1e-9, 0.5),
  rho: numberIn(1, 100),
  rhoS: numberIn(1, 100),
  G: listOf(numberIn(0.0001, 0.9), 'numbers from 0.0001 to 0.9'),
  J: integerIn(1, 20),
  qAbs: numberIn(0.0001, 1),
  tau: numberIn(0, 1),
  F: numberIn(1.001, 10),
  L: numberIn(0.001, 10),
  edgeHalf: numberIn(1, 86_400),
  absHalf: numberIn(1, 86_400),
  minEdge: numberIn(1, 1e9),
  W: recordOf(metricNames, numberIn(0, 1)),
  lvl: recordOf(['cpu', 'mem', 'grow'], numberIn(0, 10)),
  plan: listOf(planEntry, 'stages [nodes (a number or "all"), weight (0.001-0.5), time limit in seconds]'),
  R: listOf(numberIn(1, 1000), 'numbers from 1 to 1000'),
  beta: numberIn(1e-9, 0.5),
  eps: numberIn(0, 1),
  minStage: seconds,
  bake: seconds,
  twin: (value) => (typeof value === 'boolean' ? null : 'true or false'),
  excludedSeconds: seconds,
  gaugeSeconds: numberIn(1, 3600),
  silenceSeconds: numberIn(1, 86_400),
  voidAt: numberIn(1, 1e12),
};

/**
 * The standard parameters (those without a twin for `twin: false`) with some replaced; `W` and `lvl` may name a part.
 * Throws AnalysisParameterError for an unknown name, a value out of range, or values that do not fit together.
 */
export function resolveParameters(overrides: unknown): AnalysisParameters {
  if (typeof overrides !== 'object' || overrides === null || Array.isArray(overrides)) {
    throw new AnalysisParameterError('parameters must be an object, for example {"alpha": 0.001}');
  }
  for (const [name, value] of Object.entries(overrides)) {
    const rule = Object.hasOwn(rules, name) ? rules[name as keyof AnalysisParameters] : null;
    if (rule === null) {
      throw new AnalysisParameterError(`unknown parameter "${name}"; known are ${Object.keys(rules).join(', ')}`);
    }
    const expected = rule(value);
    if (expected !== null) throw new AnalysisParameterError(`parameter "${name}" must be ${expected}`);
  }
  const given = overrides as Partial<AnalysisParameters>;
  const base = given.twin === false ? withoutTwinParameters : standardParameters;
  const parameters = { ...base, ...given, W: { ...base.W, ...given.W }, lvl: { ...base.lvl, ...given.lvl } };
  checkTogether(parameters);
  return parameters;
}

function checkTogether({ W, plan, R, J }: AnalysisParameters): void {
  const total = metricNames.reduce((sum, name) => sum + W[name], 0);
  if (total > 1 + 1e-9) {
    throw new AnalysisParameterError(
      `parameter "W": the weights add up to ${total.toPrecision(3)}; above 1 the bound alpha would not hold`,
    );
  }
  if (R.length !== plan.length) {
    throw new AnalysisParameterError(
      `parameter "R" has ${R.length} entries and "plan" ${plan.length} stages; give one R per stage`,
    );
  }
  if (J < plan.length) {
    throw new AnalysisParameterError(
      `parameter "J" is ${J}, but the plan has ${plan.length} stages; each needs a start`,
    );
  }
  if (plan.some((entry, index) => entry[1] < (plan[index - 1]?.[1] ?? 0))) {
    throw new AnalysisParameterError('parameter "plan": weights must not fall from one stage to the next');
  }
}
