/** A point in time: milliseconds since 1970-01-01T00:00Z, always of the database's clock. */
export type Instant = number;

export const second = 1000;

/** ISO 8601 UTC with milliseconds, as the API shows times. */
export function isoInstant(at: Instant): string {
  return new Date(at).toISOString();
}
