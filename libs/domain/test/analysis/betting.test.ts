import { describe, expect, it } from '@jest/globals';
import { Random } from '../../../../bench/canary/random.js';
import { bet, newEProcess, probabilityOf, shareFactors, stake, wealthOf } from '../../src/analysis/e-process.js';
import type { EProcess } from '../../src/analysis/e-process.js';
import { standardParameters as standard } from '../../src/analysis/parameters.js';
import type { Pool } from '../../src/analysis/pool.js';
import { addToProof, newPromotionProof } from '../../src/analysis/promotion-proof.js';

const { G, R, rho, rhoS, eps } = standard;
const eventCountMax = 12;

/** Chance that k of n events fall to the candidate. */
function binomial(n: number, k: number, p: number): number {
  let chance = (1 - p) ** (n - k) * p ** k;
  for (let i = 0; i < k; i++) chance *= (n - i) / (i + 1);
  return chance;
}

/** Mean factor per bet over every way that n events fall, each to C with chance p. */
function meanFactors(n: number, p: number, p0: number): number[] {
  return G.map((_, i) => {
    let mean = 0;
    for (let k = 0; k <= n; k++) mean += binomial(n, k, p) * Math.exp(shareFactors(G, k, n - k, p0)?.[i] ?? 0);
    return mean;
  });
}

describe('the share test, by exact enumeration', () => {
  const boundaries = [
    ['C against the twin', probabilityOf(rho)],
    ['C against twin and stable at 5 %', probabilityOf((rhoS * 0.05) / 0.95)],
    ['C against twin and stable at 30 %', probabilityOf((rhoS * 0.3) / 0.7)],
    ['C against stable without a twin at 10 %', probabilityOf((rho * 0.1) / 0.9)],
    ['requests above an edge', 0.5],
  ] as const;

  it.each(boundaries)('%s: the mean factor is 1 at the boundary', (_, p0) => {
    for (let n = 0; n <= eventCountMax; n++) for (const mean of meanFactors(n, p0, p0)) expect(mean).toBeCloseTo(1, 12);
  });

  it.each(boundaries)('%s: the mean factor is below 1 inside, above 1 outside', (_, p0) => {
    for (let n = 1; n <= eventCountMax; n++) {
      for (const mean of meanFactors(n, 0.8 * p0, p0)) expect(mean).toBeLessThan(1);
      for (const mean of meanFactors(n, 1.2 * p0, p0)) expect(mean).toBeGreaterThan(1);
    }
  });

  it.each(boundaries)('%s: a fully clumped block (all or nothing) still has mean 1', (_, p0) => {
    for (let n = 1; n <= eventCountMax; n++) {
      G.forEach((__, i) => {
        const all = Math.exp(shareFactors(G, n, 0, p0)?.[i] ?? 0);
        const none = Math.exp(shareFactors(G, 0, n, p0)?.[i] ?? 0);
        expect(p0 * all + (1 - p0) * none).toBeCloseTo(1, 12);
      });
    }
  });

  it('bets against a fixed limit have mean 1 at the limit', () => {
    for (const limit of [0.1, 0.37]) {
      for (let n = 1; n <= eventCountMax; n++) {
        for (const g of G) {
          let mean = 0;
          for (let k = 0; k <= n; k++) mean += binomial(n, k, limit) * Math.exp(stake(g, n, k / n / limit - 1));
          expect(mean).toBeCloseTo(1, 12);
        }
      }
    }
  });
});

describe('the mirrors, by exact enumeration', () => {
  const empty = { nodes: [], stable: null, candidateReported: true, referenceReported: true };
  const pool = (C: [number, number], reference: [number, number], odds: number): Pool => ({
    ...empty,
    C: { requests: C[0], errors: C[1], latency: [] },
    reference: { requests: reference[0], errors: reference[1], latency: [] },
    odds,
  });
  const proofAfter = (block: Pool) => addToProof(newPromotionProof(standard), standard, block, null);

  it.each([1, 0.25])('the ratio has mean 1 where C is exactly R times worse (odds %s)', (odds) => {
    R.forEach((ratio, stage) => {
      for (let n = 1; n <= eventCountMax; n++) {
        const share = probabilityOf(ratio * odds);
        [0, 1, 2].forEach((i) => {
          let mean = 0;
          for (let k = 0; k <= n; k++) {
            mean +=
              binomial(n, k, share) * Math.exp(proofAfter(pool([k, k], [n - k, n - k], odds)).ratio[stage]?.[i] ?? 0);
          }
          expect(mean).toBeCloseTo(1, 12);
        });
      }
    });
  });

  it.each([1, 0.25])('the difference has mean 1 where C is exactly eps worse (odds %s)', (odds) => {
    const weight = probabilityOf(odds);
    for (const rate of [0, 0.001, 0.2]) {
      [0, 1, 2].forEach((i) => {
        const factor = (block: Pool) => Math.exp(proofAfter(block).difference[i] ?? 0);
        const failedC = weight * (rate + eps);
        const failedReference = (1 - weight) * rate;
        const mean =
          failedC * factor(pool([1, 1], [0, 0], odds)) +
          failedReference * factor(pool([0, 0], [1, 1], odds)) +
          (1 - failedC - failedReference) * factor(pool([1, 0], [0, 0], odds));
        expect(mean).toBeCloseTo(1, 12);
      });
    }
  });
});

const blockCount = 300;
const threshold = 20;

/** First block (from 1) at which the mean over the bets reaches the threshold; null: never. */
function crossing(p0: number, draw: (block: number) => [candidate: number, reference: number]): number | null {
  let process: EProcess = newEProcess(G);
  for (let block = 1; block <= blockCount; block++) {
    const [candidate, reference] = draw(block);
    process = bet(process, shareFactors(G, candidate, reference, p0));
    if (wealthOf(process, 1) >= threshold) return block;
  }
  return null;
}

describe('walks on a seed', () => {
  it('crosses 20 in at most 5 % of healthy walks at the margin, through shared incidents and retry storms', () => {
    const p0 = probabilityOf(rho);
    const crossings = Array.from({ length: 2000 }, (_, seed) => {
      const random = new Random(11, seed);
      const incidentAt = Math.floor(random.next() * blockCount);
      return crossing(p0, (block) => {
        const isIncident = block >= incidentAt && block < incidentAt + 30;
        const counts: [number, number] = [0, 0];
        for (let failures = random.poisson(isIncident ? 5 : 0.3); failures > 0; failures--) {
          // A failed request is retried up to three times, and each retry tosses again.
          const retries = isIncident ? Math.floor(random.next() * 4) : 0;
          for (let attempt = 0; attempt <= retries; attempt++) counts[random.next() < p0 ? 0 : 1] += 1;
        }
        return counts;
      });
    }).filter((block) => block !== null).length;
    expect(crossings).toBeLessThanOrEqual(100 + 3 * Math.sqrt(2000 * 0.05 * 0.95));
    expect(crossings).toBeGreaterThan(10);
  });

  it('crosses far too often when clients stick to their arm: the reason why a key counts once', () => {
    const crossings = Array.from({ length: 500 }, (_, seed) => {
      const random = new Random(12, seed);
      // Three clients that fail all the time, each on one arm for good.
      const arms = [0, 1, 2].map(() => (random.next() < probabilityOf(rho) ? 0 : 1));
      return crossing(probabilityOf(rho), () => {
        const counts: [number, number] = [0, 0];
        for (const arm of arms) counts[arm === 0 ? 0 : 1] += random.poisson(0.3);
        return counts;
      });
    }).filter((block) => block !== null).length;
    expect(crossings).toBeGreaterThan(100);
  });

  it('finds errors x5 after a median of about 20 blocks', () => {
    const found = Array.from({ length: 200 }, (_, seed) => {
      const random = new Random(13, seed);
      return crossing(probabilityOf(rho), () => [random.poisson(1), random.poisson(0.2)]) ?? Infinity;
    }).sort((a, b) => a - b);
    expect(found[100]).toBeGreaterThan(10);
    expect(found[100]).toBeLessThan(30);
    expect(found.at(-1)).toBeLessThan(60);
  });
});
