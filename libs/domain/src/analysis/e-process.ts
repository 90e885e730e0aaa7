/**
 * A test by betting: a wealth that starts at 1, is multiplied by factors whose mean is at most 1 while the candidate is
 * healthy, and so reaches 1/alpha with a chance of at most alpha however often one looks (Ville's inequality; Waudby-Smith &
 * Ramdas, arXiv 2010.09686; Lindon & Malek, arXiv 2011.03567). Logarithm of the wealth per start time and bet.
 */
export type EProcess = readonly (readonly number[])[];

/** Never more than this share of the wealth in one block, so that no block can ruin it. */
const stakeMax = 0.9;
/** exp of more than this would overflow once multiplied; any threshold is far below. */
const logWealthMax = 300;

export function newEProcess(bets: readonly number[]): EProcess {
  return [bets.map(() => 0)];
}

/** Adds a start at wealth 1, up to `startsMax`: an effect that only begins now is not held back by the losses before. */
export function pushStart(process: EProcess, startsMax: number): EProcess {
  return process.length < startsMax ? [...process, (process[0] ?? []).map(() => 0)] : process;
}

/** Multiplies every start's wealth by the block's factors (logarithms per bet); null: nothing was bet. */
export function bet(process: EProcess, factors: readonly number[] | null): EProcess {
  return factors === null ? process : process.map((start) => start.map((wealth, i) => wealth + (factors[i] ?? 0)));
}

/** Mean over bets and starts; a start not reached yet counts 1. */
export function wealthOf(process: EProcess, startsMax: number): number {
  let sum = startsMax - process.length;
  for (const start of process) sum += meanExp(start);
  return sum / startsMax;
}

/** Mean of the wealths whose logarithms are given. */
export function meanExp(logWealths: readonly number[]): number {
  let sum = 0;
  for (const wealth of logWealths) sum += Math.exp(Math.min(logWealthMax, wealth));
  return sum / logWealths.length;
}

/** Logarithm of 1 + stake x payoff; the payoff is at least -1 and at most 0 in the mean of a healthy block. */
export function stake(bet: number, count: number, payoff: number): number {
  return Math.log1p(Math.min(stakeMax, bet * count) * payoff);
}

/**
 * The share test: of the events counted in a block, is the candidate's share above p0? Needs only that its mean, given
 * the past, is at most p0, so bursts of any shape inside a block do no harm.
 */
export function shareFactors(
  bets: readonly number[],
  candidate: number,
  reference: number,
  p0: number,
): number[] | null {
  const count = candidate + reference;
  return count === 0 ? null : bets.map((g) => stake(g, count, candidate / count / p0 - 1));
}

/** Probability of odds. */
export function probabilityOf(odds: number): number {
  return odds / (1 + odds);
}
