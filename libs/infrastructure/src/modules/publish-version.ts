import { signatureLimits } from '@hotswap/module-kit';
import { canonicalDigest, type ModuleVersion, type NewModuleVersion, type PublishOutcome } from '@hotswap/orchestrator';
import type { DataSource, EntityManager } from 'typeorm';
import { Abandoned, inTransaction } from '../database/in-transaction.js';

/** Where a bundle names its key. */
const keyHint = '{verificationMaterial,publicKey,hint}';

type Published = { outcome: PublishOutcome; published: ModuleVersion };

/** See the port. The primary key of `module_version` decides between two that publish the same version at once. */
export function publishVersion(dataSource: DataSource, version: NewModuleVersion): Promise<Published> {
  return inTransaction(dataSource, async (manager) => {
    await manager.query(
      'INSERT INTO hotswap.artifact (digest, bytes, size_bytes) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING',
      [version.digest, version.bytes, version.bytes.length],
    );
    const created = await manager.query<unknown[]>(
      `INSERT INTO hotswap.module_version (name, version, artifact, manifest, signers) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (name, version) DO NOTHING RETURNING name`,
      [version.name, version.version, version.digest, JSON.stringify(version.manifest), version.signers],
    );
    const isCreated = created.length > 0;
    if (!isCreated) await checkSame(manager, version);
    await putBundles(manager, version);
    if (!isCreated) await addSigners(manager, version);
    return { outcome: isCreated ? 'created' : 'same', published: await read(manager, version) };
  });
}

export async function findVersion(
  manager: EntityManager,
  name: string,
  version: string,
): Promise<ModuleVersion | null> {
  const [found] = await manager.query<ModuleVersion[]>(
    `SELECT name, version, digest, size_bytes AS "sizeBytes", manifest, signers, published_at AS "publishedAt",
       withdrawn_at AS "withdrawnAt", withdrawal_reason AS "withdrawalReason"
     FROM hotswap.module_version
     JOIN hotswap.artifact ON digest = artifact
     WHERE name = $1 AND version = $2`,
    [name, version],
  );
  return found ?? null;
}

async function checkSame(manager: EntityManager, version: NewModuleVersion): Promise<void> {
  const published = await read(manager, version);
  if (published.digest !== version.digest) throw new Abandoned<Published>({ outcome: 'other', published });
}

/** The lock lets those who publish the same bytes at once take turns, so that each counts what the others have added. */
async function putBundles(manager: EntityManager, version: NewModuleVersion): Promise<void> {
  const { digest, bundles } = version;
  await manager.query('SELECT FROM hotswap.artifact WHERE digest = $1 FOR NO KEY UPDATE', [digest]);
  const rows = bundles.map((bundle) => ({ digest: canonicalDigest(bundle), bundle }));
  await manager.query(
    `DELETE FROM hotswap.signature_bundle AS kept USING jsonb_to_recordset($2) AS added (digest text, bundle jsonb)
     WHERE artifact = $1 AND kept.bundle #> '${keyHint}' = added.bundle #> '${keyHint}'`,
    [digest, JSON.stringify(rows)],
  );
  await manager.query(
    `INSERT INTO hotswap.signature_bundle (artifact, digest, bundle)
     SELECT $1::text, digest, bundle FROM jsonb_to_recordset($2) AS added (digest text, bundle jsonb)
     ON CONFLICT (artifact, digest) DO NOTHING`,
    [digest, JSON.stringify(rows)],
  );
  const [{ count }] = await manager.query<[{ count: number }]>(
    'SELECT count(*)::int AS count FROM hotswap.signature_bundle WHERE artifact = $1',
    [digest],
  );
  if (count > signatureLimits.bundleCount)
    throw new Abandoned<Published>({ outcome: 'full', published: await read(manager, version) });
}

async function addSigners(manager: EntityManager, { name, version, signers }: NewModuleVersion): Promise<void> {
  await manager.query(
    `UPDATE hotswap.module_version SET signers = ARRAY(SELECT DISTINCT unnest(signers || $3::text[]) ORDER BY 1)
     WHERE name = $1 AND version = $2`,
    [name, version, signers],
  );
}

async function read(manager: EntityManager, { name, version }: NewModuleVersion): Promise<ModuleVersion> {
  const found = await findVersion(manager, name, version);
  if (!found) throw new Error(`${name}@${version} is not there although it was just published`);
  return found;
}
