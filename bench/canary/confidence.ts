/**
 * Exact upper limit (Clopper & Pearson 1934), one-sided at 95 %: the chance under which `successes` of `trials` or fewer would be
 * seen in one case of twenty.
 */
export function upperBound(successes: number, trials: number, confidence = 0.95): number {
  if (successes >= trials) return 1;
  let low = successes / trials;
  let high = 1;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (chanceOfAtMost(successes, trials, middle) > 1 - confidence) low = middle;
    else high = middle;
  }
  return high;
}

function chanceOfAtMost(successes: number, trials: number, chance: number): number {
  let logTerm = trials * Math.log1p(-chance);
  let sum = Math.exp(logTerm);
  for (let k = 1; k <= successes; k++) {
    logTerm += Math.log((trials - k + 1) / k) + Math.log(chance) - Math.log1p(-chance);
    sum += Math.exp(logTerm);
  }
  return sum;
}

export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
