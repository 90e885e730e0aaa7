import type { EnvironmentName } from '@hotswap/domain';
import type { ArtifactVerifier, Verdict } from './artifact-verifier.js';
import type { ModuleCatalog } from './ports/module-catalog.js';

/** Reads an artifact and its signatures, and checks them for every environment on the way. */
export async function checkSignatures(
  catalog: ModuleCatalog,
  verifier: ArtifactVerifier,
  { name, version, digest }: { name: string; version: string; digest: string },
  onTheWay: readonly EnvironmentName[],
): Promise<Verdict> {
  const bytes = await catalog.artifactBytes(digest);
  if (!bytes)
    return {
      trusted: false,
      because: `The artifact ${digest} is not stored any more: publish ${name} ${version} again`,
    };
  return verifier.verify({ name, version, digest, bytes }, await catalog.bundles(digest), onTheWay);
}
