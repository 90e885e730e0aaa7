import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';

/** The token of `Authorization: Bearer …`; null: none. */
export function bearerOf(request: FastifyRequest): string | null {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? null;
}

/** Equal texts, compared in a time that tells nothing of either. */
export function isSameSecret(given: string, wanted: string): boolean {
  return timingSafeEqual(sha256(given), sha256(wanted));
}

/** What is kept of a secret: its sha256, in hex. */
export function secretHash(secret: string): string {
  return sha256(secret).toString('hex');
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
