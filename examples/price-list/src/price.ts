import type { Article } from './catalogue.js';

/** What one EUR buys; a release's configuration may bring other rates. */
export const ratesPerEur: Readonly<Record<string, number>> = { EUR: 1, CHF: 0.93, GBP: 0.87, JPY: 180, USD: 1.16 };

/** Digits after the point of amounts in the currency, by ISO 4217. */
function digitsOf(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

export interface Price {
  sku: string;
  name: string;
  currency: string;
  /** Decimal text, such as "12.90": no reader has to know how many digits a currency has. */
  amount: string;
}

export function priceOf({ sku, name, cents }: Article, currency: string, rate: number): Price {
  return { sku, name, currency, amount: ((cents / 100) * rate).toFixed(digitsOf(currency)) };
}

/**
 * The rates in force: the configuration's where it has any. Anything but a positive number for a currency code fails, so that a wrong configuration
 * fails the start of its release instead of its requests.
 */
export function readRates(configured: unknown): Readonly<Record<string, number>> {
  if (configured === undefined) return ratesPerEur;
  if (typeof configured !== 'object' || configured === null || Array.isArray(configured)) {
    throw new TypeError('Configuration: rates must be an object of currency codes and what one EUR buys.');
  }
  for (const [currency, rate] of Object.entries(configured)) {
    if (!/^[A-Z]{3}$/.test(currency) || typeof rate !== 'number' || !(rate > 0) || rate === Infinity) {
      throw new TypeError(`Configuration: rates.${currency} must be a currency code with a positive number.`);
    }
  }
  return { ...(configured as Record<string, number>), EUR: 1 };
}
