import { createHash } from 'node:crypto';

/** `sha256:<hex>` of a JSON value whose object keys are sorted, so that equal values have equal digests. */
export function canonicalDigest(value: unknown): string {
  const canonical = JSON.stringify(value, (_key, part: unknown) => (isObject(part) ? sorted(part) : part));
  return `sha256:${createHash('sha256').update(canonical).digest('hex')}`;
}

function sorted(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
