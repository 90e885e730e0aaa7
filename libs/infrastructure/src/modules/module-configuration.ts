import type { EnvironmentName } from '@hotswap/domain';
import type { VersionedConfiguration } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { canonicalDigest } from '@hotswap/orchestrator';

/** A module's newest configuration in an environment: revision 0, `{}` while there is none. */
export async function loadConfiguration(
  manager: EntityManager,
  module: string,
  environment: EnvironmentName,
): Promise<VersionedConfiguration> {
  const [newest] = await manager.query<VersionedConfiguration[]>(
    `SELECT revision, "values" FROM hotswap.module_configuration
     WHERE module = $1 AND environment = $2 ORDER BY revision DESC LIMIT 1`,
    [module, environment],
  );
  return newest ?? { revision: 0, values: {} };
}

/** See the port. Revisions have no gaps, so that the primary key decides between two who replace the same one at once. */
export async function replaceConfiguration(
  manager: EntityManager,
  module: string,
  environment: EnvironmentName,
  values: Record<string, unknown>,
  expectedRevision: number,
): Promise<VersionedConfiguration | null> {
  const newest = await loadConfiguration(manager, module, environment);
  if (newest.revision !== expectedRevision) return null;
  if (canonicalDigest(newest.values) === canonicalDigest(values)) return newest;
  const [written] = await manager.query<VersionedConfiguration[]>(
    `INSERT INTO hotswap.module_configuration (module, environment, revision, "values") VALUES ($1, $2, $3, $4)
     ON CONFLICT (module, environment, revision) DO NOTHING
     RETURNING revision, "values"`,
    [module, environment, expectedRevision + 1, JSON.stringify(values)],
  );
  return written ?? null;
}
