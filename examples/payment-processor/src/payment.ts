import { createHash } from 'node:crypto';

/** A payment as a client asks for it. */
export interface Payment {
  /** In the currency's smallest unit: 1250 EUR are 12.50 €, 1250 JPY are 1250 ¥. */
  amount: number;
  /** ISO 4217. */
  currency: Currency;
  /** Digits alone. */
  card: string;
  /** The client's own name for the payment, 1-100 characters. */
  reference: string;
}

export interface Problem {
  /** RFC 6901 JSON pointer into the request's body. */
  pointer: string;
  message: string;
}

export const currencies = ['CHF', 'CZK', 'DKK', 'EUR', 'GBP', 'JPY', 'NOK', 'PLN', 'SEK', 'USD'] as const;
export type Currency = (typeof currencies)[number];

const amountMax = 100_000_000;
const fields = ['amount', 'currency', 'card', 'reference'] as const;

/** A payment, or everything that is wrong with it. Messages never repeat what they are about: it may be a card number. */
export function parsePayment(body: unknown): { payment: Payment } | { problems: Problem[] } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { problems: [{ pointer: '', message: 'must be a JSON object' }] };
  }
  const { amount, currency, card, reference } = body as Record<string, unknown>;
  const problems: Problem[] = Object.keys(body)
    .filter((field) => !(fields as readonly string[]).includes(field))
    .map((field) => ({
      pointer: `/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      message: 'is not a known field',
    }));
  if (!Number.isInteger(amount) || (amount as number) < 1 || (amount as number) > amountMax) {
    problems.push({
      pointer: '/amount',
      message: `must be an integer from 1 to ${amountMax}, in the currency's smallest unit`,
    });
  }
  if (!(currencies as readonly unknown[]).includes(currency)) {
    problems.push({ pointer: '/currency', message: `must be one of ${currencies.join(', ')}` });
  }
  if (typeof card !== 'string' || !/^\d{12,19}$/.test(card) || !passesLuhn(card)) {
    problems.push({ pointer: '/card', message: 'must be a card number: 12-19 digits, the last one their check digit' });
  }
  if (typeof reference !== 'string' || !/^\P{Cc}{1,100}$/u.test(reference)) {
    problems.push({ pointer: '/reference', message: 'must be 1-100 characters, none of them a control character' });
  }
  return problems.length > 0 ? { problems } : { payment: { amount, currency, card, reference } as Payment };
}

/**
 * The same payment always has the same id, whichever instance or version answers, and nothing has to be remembered. Of
 * the card only the last four digits go in: a hash over the whole number would let it be found by trying.
 */
export function paymentId({ amount, currency, card, reference }: Payment): string {
  return `pay_${digestOf(JSON.stringify([amount, currency, lastFour(card), reference]))
    .toString('hex')
    .slice(0, 24)}`;
}

export function lastFour(card: string): string {
  return card.slice(-4);
}

export function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The check digit of ISO/IEC 7812-1: counted from the right, every second digit doubled, the sum of all digits ends in 0. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place++) {
    const digit = Number(digits[digits.length - 1 - place]);
    const doubled = digit * 2;
    if (place % 2 === 0) sum += digit;
    else sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
