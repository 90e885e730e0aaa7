import type { EntityManager } from 'typeorm';

export type FoundArtifact =
  { kind: 'found'; artifact: string; isWithdrawn: boolean } | { kind: 'module-not-found' | 'version-not-found' };

/** The artifact of a published version, withdrawn or not. */
export async function findArtifact(
  manager: EntityManager,
  { module, version }: { module: string; version: string },
): Promise<FoundArtifact> {
  const [found] = await manager.query<{ artifact: string; withdrawn_at: Date | null }[]>(
    'SELECT artifact, withdrawn_at FROM hotswap.module_version WHERE name = $1 AND version = $2',
    [module, version],
  );
  if (found) return { kind: 'found', artifact: found.artifact, isWithdrawn: found.withdrawn_at !== null };
  const [other] = await manager.query<unknown[]>('SELECT FROM hotswap.module_version WHERE name = $1 LIMIT 1', [
    module,
  ]);
  return { kind: other ? 'version-not-found' : 'module-not-found' };
}
