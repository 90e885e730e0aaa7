import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair, signArtifact, type PackedModule } from '@hotswap/module-kit';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedLoopLoad } from './support/closed-loop-load.js';
import { inDatabase } from './support/database.js';
import { deploy, stageOf, waitForEnd } from './support/deployments.js';
import { startLocalCluster, type LocalCluster } from './support/local-cluster.js';
import { moduleName, packVersion, signAsExamples, upload } from './support/published-module.js';

const cli = join(import.meta.dirname, '..', 'packages', 'module-kit', 'dist', 'cli.js');

interface Forgery {
  name: string;
  /** Of the API, for an attempt to publish it. */
  code: string;
  /** Of a node that is made to load it. */
  failureKind: string;
  forge: (cluster: LocalCluster, packed: PackedModule) => { bytes: Buffer; bundles: object[] };
}

const forgeries: Forgery[] = [
  {
    name: 'with a byte changed',
    code: 'signature-invalid',
    failureKind: 'digest',
    forge: (cluster, packed) => ({ bytes: withChange(packed.bytes), bundles: [signAsExamples(cluster, packed)] }),
  },
  {
    name: 'signed by an unknown key',
    code: 'untrusted-signer',
    failureKind: 'signature',
    forge: (_, packed) => ({
      bytes: packed.bytes,
      bundles: [signArtifact(packed, generateKeyPair('somebody').privateKeyPem, 'somebody')],
    }),
  },
  {
    name: 'signed by an unknown key in the name of a known one',
    code: 'signature-invalid',
    failureKind: 'signature',
    forge: (_, packed) => ({
      bytes: packed.bytes,
      bundles: [signArtifact(packed, generateKeyPair('local-examples').privateKeyPem, 'local-examples')],
    }),
  },
  {
    name: 'without a signature',
    code: 'signature-missing',
    failureKind: 'signature',
    forge: (_, packed) => ({ bytes: packed.bytes, bundles: [] }),
  },
];

describe('An artifact that is not to be trusted', () => {
  let cluster: LocalCluster;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hotswap-trust-'));
    cluster = await startLocalCluster({
      env: {
        HOTSWAP_NODES_DEVELOPMENT: '2',
        HOTSWAP_NODES_QA: '1',
        HOTSWAP_NODES_STAGING: '1',
        HOTSWAP_NODES_PRODUCTION: '1',
      },
    });
  });

  afterAll(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  describe.each(forgeries)('$name', ({ code, failureKind, forge }) => {
    const number = forgeries.findIndex((each) => each.forge === forge);

    it(`is refused at publishing: 422 ${code}`, async () => {
      const version = `7.${number}.0`;
      const { bytes, bundles } = forge(cluster, await packVersion({ version }));
      const { status, body, headers } = await upload(cluster, bytes, bundles);
      expect({ status, code: body.code }).toEqual({ status: 422, code });
      expect(headers.get('content-type')).toContain('application/problem+json');
      expect((await cluster.get(`/api/v1/modules/${moduleName}/versions/${version}`)).status).toBe(404);
      // The command line can't even ask without a bundle.
      if (bundles.length === 0) return;
      const published = publishByCli(bytes, bundles);
      expect(published.status).toBe(1);
      expect(published.stderr).toContain(`refused with 422 ${code}`);
    });

    it('is found out by Verify when it was put into the database', async () => {
      const version = `7.${number}.1`;
      await putIntoDatabase(version);
      const deployment = await waitForEnd(cluster, await deploy(cluster, version, 'Production'));
      expect(deployment.status).toBe('Failed');
      expect(deployment.reason.code).toBe('signature-refused');
      expect(stageOf(deployment, 'Development')?.status).toBe('Skipped');
    });

    it('is refused by the node when even Verify was made to say yes, and the old one serves on', async () => {
      const version = `7.${number}.2`;
      await putIntoDatabase(version);
      await inDatabase(cluster, ...sayYes);
      const load = new ClosedLoopLoad({
        addresses: await cluster.addresses('Development'),
        connections: 4,
        pauseMilliseconds: 35,
      }).start();
      try {
        const deployment = await waitForEnd(cluster, await deploy(cluster, version, 'Production'));
        expect(deployment.status).toBe('RolledBack');
        expect(deployment.stages[0]).toMatchObject({ name: 'Verify', status: 'Succeeded' });
        expect(deployment.reason).toMatchObject({ code: 'target-failed', data: { failureKind } });
        expect(deployment.reason.message).toMatch(/digest|signature|signed|trust/);
      } finally {
        await load.stop();
        await inDatabase(cluster, 'DROP FUNCTION hotswap.say_yes CASCADE');
      }
      expect(load.counts).toMatchObject({ failed: 0, failures: [] });
      expect([...load.counts.versions.keys()]).toEqual([`${moduleName}@2.0.0`]);
      expect(await cluster.activeVersions('Development', moduleName)).toEqual(['2.0.0', '2.0.0']);
    });

    /** As a thief of the database would: with the digest that the signature, if any, is for. */
    async function putIntoDatabase(version: string): Promise<void> {
      const packed = await packVersion({ version });
      const { bytes, bundles } = forge(cluster, packed);
      await inDatabase(
        cluster,
        ['INSERT INTO hotswap.artifact (digest, bytes, size_bytes) VALUES ($1, $2, $3)', [packed.digest, bytes, 1]],
        [
          `INSERT INTO hotswap.module_version (name, version, artifact, manifest, signers)
           SELECT $1, $2, $3, manifest, signers FROM hotswap.module_version WHERE name = $1 AND version = '2.0.0'`,
          [moduleName, version, packed.digest],
        ],
        ...bundles.map((bundle, index): [string, unknown[]] => [
          'INSERT INTO hotswap.signature_bundle (artifact, digest, bundle) VALUES ($1, $2, $3)',
          [packed.digest, `put-${index}`, JSON.stringify(bundle)],
        ]),
      );
    }
  });

  function publishByCli(bytes: Buffer, bundles: object[]) {
    const file = join(directory, 'artifact.tgz');
    writeFileSync(file, bytes);
    const args = bundles.flatMap((bundle, index) => {
      const bundleFile = join(directory, `bundle-${index}.json`);
      writeFileSync(bundleFile, JSON.stringify(bundle));
      return ['--bundle', bundleFile];
    });
    return spawnSync(process.execPath, [cli, 'publish', file, ...args, '--url', cluster.url], {
      encoding: 'utf8',
      timeout: 30_000,
    });
  }
});

/** One that the artifact survives: gzip's header tells a time that nothing else depends on. */
function withChange(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[4] = (changed[4] ?? 0) ^ 1;
  return changed;
}

/** Whatever the orchestrator finds of signatures, the database says that they are right. */
const sayYes = [
  `CREATE FUNCTION hotswap.say_yes() RETURNS trigger LANGUAGE plpgsql AS
   $$ BEGIN NEW.status := 'Passed'; RETURN NEW; END $$`,
  `CREATE TRIGGER say_yes BEFORE UPDATE ON hotswap.evidence FOR EACH ROW WHEN (NEW.status = 'Refused')
   EXECUTE FUNCTION hotswap.say_yes()`,
];
