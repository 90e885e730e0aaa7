import { digestOf, type Payment } from './payment.js';

/** The batches of a day into which EUR payments are collected. */
const batches = ['06:00', '08:00', '10:00', '12:00', '14:00', '16:00', '18:00', '20:00', '22:00'].map((time) => ({
  time,
}));

/**
 * The time of the batch that a payment is settled in; EUR payments are spread by their reference, others go into the last.
 *
 * This is the mistake of version 2.2.0, and meant to be one: there are nine batches, not ten. One EUR payment in ten looks
 * for the tenth and fails, which no health check and no smoke test of this version sees, but its first minutes of real traffic do.
 */
export function settlementTimeOf({ currency, reference }: Pick<Payment, 'currency' | 'reference'>): string {
  const index = currency === 'EUR' ? digestOf(reference).readUInt32BE() % 10 : batches.length - 1;
  return batches[index]!.time;
}
