import type { Currency, Payment } from './payment.js';

/** What a payment costs: a fixed part in the currency's smallest unit, and a share in hundredths of a percent. */
export interface FeeRate {
  fixed: number;
  basisPoints: number;
}

export const feeRates: Readonly<Record<Currency, FeeRate>> = {
  CHF: { fixed: 25, basisPoints: 140 },
  CZK: { fixed: 600, basisPoints: 170 },
  DKK: { fixed: 180, basisPoints: 150 },
  EUR: { fixed: 25, basisPoints: 120 },
  GBP: { fixed: 20, basisPoints: 130 },
  JPY: { fixed: 40, basisPoints: 290 },
  NOK: { fixed: 250, basisPoints: 160 },
  PLN: { fixed: 100, basisPoints: 150 },
  SEK: { fixed: 250, basisPoints: 150 },
  USD: { fixed: 30, basisPoints: 290 },
};

export interface Fee {
  fixed: number;
  /** The share of the amount, rounded up to a whole smallest unit. */
  share: number;
  total: number;
}

export function feeOf({ amount, currency }: Pick<Payment, 'amount' | 'currency'>): Fee {
  const { fixed, basisPoints } = feeRates[currency];
  const share = Math.ceil((amount * basisPoints) / 10_000);
  return { fixed, share, total: fixed + share };
}
