const growth = 1.1;
const firstBoundSeconds = 0.0005;
const bucketCount = 125;

/** Upper bounds of the latency histogram, ascending, each 10 % above the one before: 0.5 ms to about 68 s. Fixed, so that histograms merge by addition. */
export const latencyBucketSeconds: readonly number[] = Array.from(
  { length: bucketCount },
  (_, index) => firstBoundSeconds * growth ** index,
);

/** Index of the bucket that a duration falls into; `latencyBucketSeconds.length` is the one above all bounds. */
export function latencyBucketOf(seconds: number): number {
  if (seconds <= firstBoundSeconds) return 0;
  const index = Math.ceil(Math.log(seconds / firstBoundSeconds) / Math.log(growth) - 1e-9);
  return Math.min(index, bucketCount);
}

/** An empty histogram. */
export function emptyLatencyHistogram(): number[] {
  return new Array<number>(bucketCount + 1).fill(0);
}

/**
 * The q-quantile (0-1) in seconds as the upper bound of the bucket it falls into; null for an empty histogram. Values
 * above all bounds answer the highest bound.
 */
export function latencyQuantileSeconds(histogram: readonly number[], q: number): number | null {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  for (let index = 0; index < histogram.length; index++) {
    seen += histogram[index] ?? 0;
    if (seen >= q * total) return latencyBucketSeconds[Math.min(index, bucketCount - 1)] ?? null;
  }
  return latencyBucketSeconds[bucketCount - 1] ?? null;
}
