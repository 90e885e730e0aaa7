// Each shown bucket holds this many of the fine ones, which makes its bound 2.1 times the one before: 17 series a release instead of 126.
const fineBucketsPerBucket = 8;

interface Labels {
  module: string;
  version: string;
}

interface Sums {
  labels: Labels;
  counts: number[];
  sumSeconds: number;
}

/** Histograms that grow by whole histograms of counts, which prom-client's, fed value by value, can't. */
export class LatencyHistograms {
  private readonly byRelease = new Map<string, Sums>();

  /** `boundSeconds`: upper bounds of the counts that are added, ascending; one more count is above them. */
  constructor(private readonly boundSeconds: readonly number[]) {}

  add(labels: Labels, counts: readonly number[], sumSeconds: number): void {
    const key = keyOf(labels);
    const sums = this.byRelease.get(key) ?? { labels, counts: counts.map(() => 0), sumSeconds: 0 };
    counts.forEach((count, index) => (sums.counts[index] = (sums.counts[index] ?? 0) + count));
    sums.sumSeconds += sumSeconds;
    this.byRelease.set(key, sums);
  }

  remove(labels: Labels): void {
    this.byRelease.delete(keyOf(labels));
  }

  /** Prometheus text of a histogram called `name`. */
  render(name: string): string {
    const lines = [`# HELP ${name} From a request's arrival to the head of its answer.`, `# TYPE ${name} histogram`];
    for (const { labels, counts, sumSeconds } of this.byRelease.values()) {
      const release = `module="${escape(labels.module)}",version="${escape(labels.version)}"`;
      let total = 0;
      this.boundSeconds.forEach((bound, index) => {
        total += counts[index] ?? 0;
        const isShown = index % fineBucketsPerBucket === 0;
        if (isShown) lines.push(`${name}_bucket{${release},le="${Number(bound.toPrecision(6))}"} ${total}`);
      });
      total += counts[this.boundSeconds.length] ?? 0;
      lines.push(`${name}_bucket{${release},le="+Inf"} ${total}`);
      lines.push(`${name}_sum{${release}} ${sumSeconds}`, `${name}_count{${release}} ${total}`);
    }
    return `${lines.join('\n')}\n`;
  }
}

function keyOf({ module, version }: Labels): string {
  return `${module}@${version}`;
}

function escape(value: string): string {
  return value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
}
