import type { EnvironmentName, ReleaseSpec } from '@hotswap/agent-protocol';
import { type LoadableRelease, LoadError } from '@hotswap/module-host';
import {
  type Artifact,
  ArtifactError,
  isTrustedFor,
  loadTrustFile,
  readArtifact,
  SignatureError,
  verifySignatures,
} from '@hotswap/module-kit';
import type { ArtifactCache } from './artifact-cache.js';
import type { Tracing } from '../tracing.js';

export interface LoadContext {
  cache: ArtifactCache;
  tracing: Tracing;
  environment: EnvironmentName;
  nodeId: string;
  trustFile: string;
  secretsDirectory: string | null;
}

/**
 * Fetches a release's artifact, verifies its digest and its signatures with this node's own trust file, and only then reads and unpacks it.
 * The trust file is read each time, so that keys change without a restart. Throws LoadError naming the phase, or the signal's reason.
 */
export async function loadRelease(
  spec: ReleaseSpec,
  traceparent: string | null,
  signal: AbortSignal,
  context: LoadContext,
): Promise<LoadableRelease> {
  const { cache, tracing, environment, nodeId, secretsDirectory } = context;
  const bytes = await tracing.run('fetch', spec, traceparent, () => cache.loadBytes(spec.artifact, signal));
  const artifact = await tracing.run('verify', spec, traceparent, async () => {
    await verifyTrust(spec, signal, context);
    return readMatching(spec, bytes);
  });
  const directory = await cache.unpack(artifact);
  signal.throwIfAborted();
  return { spec, manifest: artifact.manifest, directory, environment, node: nodeId, secretsDirectory };
}

// Bundles kept from an earlier time may be signed by keys that are no longer trusted while the control plane has newer ones.
async function verifyTrust(spec: ReleaseSpec, signal: AbortSignal, context: LoadContext): Promise<void> {
  const kept = await context.cache.keptBundles(spec.artifact);
  if (kept && (await distrust(spec, kept, context)) === null) return;
  const bundles = await context.cache.fetchBundles(spec.artifact, signal);
  const problem = await distrust(spec, bundles, context);
  if (problem !== null) throw new LoadError('signature', problem);
}

/** Why the bundles don't suffice to run the release here; null: they do. */
async function distrust(
  spec: ReleaseSpec,
  bundles: readonly unknown[],
  { environment, trustFile }: LoadContext,
): Promise<string | null> {
  try {
    const trust = await loadTrustFile(trustFile);
    const subject = { name: spec.module, version: spec.version, digest: spec.artifact };
    const signers = verifySignatures(subject, bundles, trust, new Date());
    const answer = isTrustedFor(trust, spec.module, environment, signers);
    return answer.trusted ? null : `Not trusted on this node: ${answer.because}.`;
  } catch (error) {
    if (error instanceof SignatureError) return `${error.code}: ${error.message}`;
    return (error as Error).message;
  }
}

async function readMatching(spec: ReleaseSpec, bytes: Buffer): Promise<Artifact> {
  let artifact: Artifact;
  try {
    artifact = await readArtifact(bytes);
  } catch (error) {
    if (error instanceof ArtifactError) throw new LoadError('artifact', error.message);
    throw error;
  }
  if (artifact.name !== spec.module || artifact.version !== spec.version)
    throw new LoadError(
      'artifact',
      `The artifact is ${artifact.name}@${artifact.version}, but ${spec.module}@${spec.version} was asked for.`,
    );
  return artifact;
}
