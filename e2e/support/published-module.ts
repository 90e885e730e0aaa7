import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packModule, signArtifact, type PackedModule, type SigstoreBundle } from '@hotswap/module-kit';
import type { Answer, LocalCluster } from './local-cluster.js';

export const moduleName = 'payment-processor';

/** A version made for a test, of the module that the cluster's examples have. */
export interface TestVersion {
  version: string;
  /** Members of the module object after `fetch`, or of that name to replace it; may read `env`. */
  members?: string;
  /** Before everything else in the file. */
  preamble?: string;
  /** Members of the manifest, over the plain ones. */
  manifest?: object;
}

/** Answers every request with 200 and its version. */
export async function packVersion({ version, members = '', preamble = '', manifest }: TestVersion) {
  const folder = mkdtempSync(join(tmpdir(), 'hotswap-module-'));
  try {
    const packageJson = {
      name: moduleName,
      version,
      type: 'module',
      hotswap: { manifest: 1, entry: 'dist/module.js', kernel: '^1.0.0', ...manifest },
    };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(packageJson));
    mkdirSync(join(folder, 'dist'));
    const source = `${preamble}
      export default { fetch: (request, env) => Response.json({ version: env.version }), ${members} };`;
    writeFileSync(join(folder, 'dist', 'module.js'), source);
    return await packModule(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Signed by the key that the cluster made for its examples. */
export function signAsExamples(cluster: LocalCluster, packed: PackedModule): SigstoreBundle {
  const key = readFileSync(join(cluster.dataDirectory, 'keys', 'local-examples.pem'), 'utf8');
  return signArtifact(packed, key, 'local-examples');
}

export async function upload(
  cluster: LocalCluster,
  bytes: Uint8Array,
  bundles: readonly object[],
): Promise<Answer<{ code?: string; detail?: string; digest?: string }>> {
  const form = new FormData();
  form.append('artifact', new Blob([new Uint8Array(bytes)], { type: 'application/gzip' }), 'artifact.tgz');
  bundles.forEach((bundle) =>
    form.append('bundle', new Blob([JSON.stringify(bundle)], { type: 'application/json' }), 'bundle.json'),
  );
  const response = await fetch(new URL('/api/v1/modules', cluster.url), {
    method: 'POST',
    body: form,
    signal: AbortSignal.timeout(30_000),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as { code?: string; detail?: string; digest?: string },
  };
}

/** @throws Error with the answer when it was not accepted */
export async function publishVersion(cluster: LocalCluster, wanted: TestVersion): Promise<PackedModule> {
  const packed = await packVersion(wanted);
  const { status, body } = await upload(cluster, packed.bytes, [signAsExamples(cluster, packed)]);
  if (status !== 201) throw new Error(`Publishing ${wanted.version} was answered ${status}: ${JSON.stringify(body)}`);
  return packed;
}
