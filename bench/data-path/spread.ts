/** Median with the least and the greatest, to four digits. */
export function spread(numbers: number[]): { median: number; min: number; max: number } {
  const sorted = [...numbers].sort((a, b) => a - b);
  const round = (value: number | undefined) => Number((value ?? 0).toPrecision(4));
  return { median: round(sorted[Math.floor(sorted.length / 2)]), min: round(sorted[0]), max: round(sorted.at(-1)) };
}

export function median(numbers: number[]): number {
  return spread(numbers).median;
}
