import type { EnvironmentName, Release } from '@hotswap/domain';
import { describeRelease } from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { releaseEntity } from './entities/release.js';
import { loadConfiguration } from './modules/module-configuration.js';

/** A module's artifact with the newest configuration of an environment. Writes nothing. */
export async function loadNewestRelease(
  manager: EntityManager,
  artifact: Pick<Release, 'module' | 'version' | 'artifact'>,
  environment: EnvironmentName,
): Promise<Release> {
  const { revision, values } = await loadConfiguration(manager, artifact.module, environment);
  return describeRelease({ ...artifact, configurationRevision: revision, configuration: values });
}

/** Keeps releases that something is about to refer to; in one order, so that two writers never wait for each other. */
export async function saveReleases(manager: EntityManager, releases: readonly (Release | null)[]): Promise<void> {
  const byDigest = new Map(releases.flatMap((release) => (release ? [[release.digest, release] as const] : [])));
  if (byDigest.size === 0) return;
  await manager.query(
    `INSERT INTO hotswap.release (digest, module, version, artifact, configuration_revision, configuration)
     SELECT digest, module, version, artifact, "configurationRevision", configuration
     FROM jsonb_to_recordset($1) AS release
       (digest text, module text, version text, artifact text, "configurationRevision" integer, configuration jsonb)
     ORDER BY digest
     ON CONFLICT (digest) DO NOTHING`,
    [JSON.stringify([...byDigest.values()])],
  );
}

/** Releases by digest. */
export async function loadReleases(
  manager: EntityManager,
  digests: readonly (string | null)[],
): Promise<Map<string, Release>> {
  const wanted = [...new Set(digests.filter((digest) => digest !== null))];
  if (wanted.length === 0) return new Map();
  const rows = await manager
    .createQueryBuilder(releaseEntity, 'release')
    .where('release.digest = ANY(:wanted)', { wanted })
    .getMany();
  return new Map(rows.map((release) => [release.digest, release]));
}
