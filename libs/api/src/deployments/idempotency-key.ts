import { createHash } from 'node:crypto';
import { Problem } from '../problem/problem.js';
import type { CreateDeploymentDto } from './create-deployment.dto.js';

/** The header's key (1-200 visible ASCII characters) with a digest of what was asked; null where it was not sent. */
export function idempotencyOf(key: string | undefined, body: CreateDeploymentDto) {
  if (key === undefined) return null;
  if (!/^[\x21-\x7e]{1,200}$/.test(key))
    throw Problem.invalid([{ pointer: 'Idempotency-Key', message: 'must be 1 to 200 visible ASCII characters' }]);
  return { key, bodyDigest: `sha256:${createHash('sha256').update(canonicalJson(body)).digest('hex')}` };
}

// The order in which a client writes its fields is not part of what it asks for.
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, child: unknown) =>
    typeof child === 'object' && child !== null && !Array.isArray(child)
      ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1)))
      : child,
  );
}
