import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packModule, signArtifact, type PackedModule } from '@hotswap/module-kit';
import { trustedKey } from './start-control-plane.js';

/** A packed module that answers with its version, with `source` after it; or of `code` alone. */
export async function moduleArtifact(
  name: string,
  version: string,
  source = '',
  code = `export default { fetch: () => Response.json({ version: '${version}' }) };`,
): Promise<PackedModule> {
  const folder = mkdtempSync(join(tmpdir(), 'hotswap-module-'));
  try {
    const hotswap = { manifest: 1, entry: 'dist/module.js', kernel: '^1.0.0' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version, type: 'module', hotswap }));
    mkdirSync(join(folder, 'dist'));
    writeFileSync(join(folder, 'dist', 'module.js'), `${code}\n${source}`);
    return await packModule(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Publishes by the API, with one signature by `key` or none. */
export async function publish(
  url: string,
  artifact: PackedModule,
  key: typeof trustedKey | null = trustedKey,
  headers: Record<string, string> = {},
) {
  const form = new FormData();
  form.append('artifact', new Blob([new Uint8Array(artifact.bytes)]), artifact.fileName);
  if (key) form.append('bundle', JSON.stringify(signArtifact(artifact, key.privateKeyPem, key.id)));
  const response = await fetch(`${url}/api/v1/modules`, { method: 'POST', headers, body: form });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}
