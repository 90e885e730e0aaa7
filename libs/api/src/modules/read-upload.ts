import type { Multipart } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { artifactBytesMax, bundleBytesMax, bundleCountMax } from '../http/limits.js';
import { Problem } from '../problem/problem.js';

export interface ModuleUpload {
  artifact: Buffer;
  /** Parsed, unverified Sigstore bundles. */
  bundles: unknown[];
}

/** Reads the form of `POST /modules`: one part `artifact`, any number of parts `bundle` up to the limit, as files or fields. Throws a Problem. */
export async function readUpload(request: FastifyRequest): Promise<ModuleUpload> {
  if (!request.isMultipart()) {
    const detail = 'Send multipart/form-data with a part artifact and a part bundle for each signature';
    throw new Problem('unsupported-media-type', detail);
  }
  const artifacts: Buffer[] = [];
  const bundles: Buffer[] = [];
  try {
    for await (const part of request.parts()) {
      const bytes = await bytesOf(part);
      if (part.fieldname === 'artifact') artifacts.push(bytes);
      else if (part.fieldname === 'bundle') bundles.push(bytes);
      else throw invalid(part.fieldname.slice(0, 100), 'is not known');
    }
  } catch (error) {
    throw error instanceof Problem ? error : problemOfForm(error);
  }
  const [artifact, ...more] = artifacts;
  if (!artifact) throw invalid('artifact', 'is required');
  if (more.length > 0) throw invalid('artifact', 'must be sent once');
  return { artifact, bundles: bundles.map(parseBundle) };
}

async function bytesOf(part: Multipart): Promise<Buffer> {
  if (part.type === 'file') {
    const bytes = await part.toBuffer();
    if (part.fieldname === 'bundle' && bytes.length > bundleBytesMax) throw tooLarge();
    return bytes;
  }
  if (part.valueTruncated) throw tooLarge();
  // A field of the content type application/json arrives parsed.
  return Buffer.from(typeof part.value === 'string' ? part.value : JSON.stringify(part.value));
}

function parseBundle(bytes: Buffer, index: number): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    throw new Problem('signature-invalid', `Bundle ${index + 1} is not JSON; send Sigstore bundles (v0.3)`);
  }
}

function problemOfForm(error: unknown): Problem {
  const { code, message } = error as { code?: string; message: string };
  if (code && /TOO_LARGE|_LIMIT$/.test(code)) return tooLarge();
  return new Problem('malformed-multipart', `The form is not readable: ${message}`);
}

function tooLarge(): Problem {
  const mebibytes = artifactBytesMax / 1024 / 1024;
  const detail = `An artifact has at most ${mebibytes} MiB, a bundle ${bundleBytesMax / 1024} KiB, and there are at most ${bundleCountMax} bundles`;
  return new Problem('too-large', detail);
}

function invalid(part: string, message: string): Problem {
  return Problem.invalid([{ pointer: `/${part.toWellFormed()}`, message }]);
}
