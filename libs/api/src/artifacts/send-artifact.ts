import type { FastifyReply, FastifyRequest } from 'fastify';
import { matchesTag } from '../http/entity-tags.js';

/** Answers with an artifact's bytes, which never change under their digest. */
export function sendArtifact(request: FastifyRequest, reply: FastifyReply, digest: string, bytes: Buffer): void {
  const tag = `"${digest}"`;
  reply.header('etag', tag).header('cache-control', 'public, max-age=31536000, immutable');
  if (matchesTag(request.headers['if-none-match'], tag)) void reply.status(304).send();
  else void reply.header('content-type', 'application/gzip').send(bytes);
}
