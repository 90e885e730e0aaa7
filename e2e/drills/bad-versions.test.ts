import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { inDatabase } from '../support/database.js';
import { deploy, stageOf, waitForEnd, waitForStep } from '../support/deployments.js';
import { changePolicy, startDrillCluster, underLoad, untouched, waitUntilHealthy } from '../support/drill-cluster.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { moduleName, publishVersion } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

/** The tests build on each other; each leaves the cluster Healthy. */
describe('A bad version', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startDrillCluster({ QA: 2 });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  afterEach(() => waitUntilHealthy(cluster));

  it.each([
    { kind: 'load', version: '3.0.1', preamble: 'throw new Error("no such luck");' },
    { kind: 'start', version: '3.0.2', members: 'async start() { throw new Error("no such luck"); }' },
    { kind: 'health', version: '3.0.3', members: 'async health() { throw new Error("no such luck"); }' },
    {
      kind: 'smoke',
      version: '3.0.4',
      manifest: { smoke: [{ request: { path: '/version' }, expect: { json: { version: '3.0.5' } } }] },
    },
    { kind: 'activate', version: '3.0.6', members: 'async activate() { throw new Error("no such luck"); }' },
  ])('that fails at $kind goes back, and the old one serves on', async ({ kind, ...version }) => {
    await publishVersion(cluster, version);
    const seen = await underLoad(await cluster.addresses('Development'), async () => {
      const deployment = await waitForEnd(cluster, await deploy(cluster, version.version, 'Production'));
      expect(deployment.status).toBe('RolledBack');
      expect(deployment.reason).toMatchObject({ code: 'target-failed', data: { failureKind: kind } });
      expect(stageOf(deployment, 'QA')?.status).toBe('Skipped');
    });
    expect(seen).toMatchObject(untouched);
    expect([...seen.versions.keys()]).toEqual([`${moduleName}@2.0.0`]);
  });

  it('whose process keeps ending goes back before it is on every node', async () => {
    await publishVersion(cluster, {
      version: '3.1.0',
      preamble: 'let place;',
      members: `start(env) { place = env.environment; },
        activate() { if (place === 'QA') setTimeout(() => process.exit(7), 300); }`,
    });
    // Node by node, in the order of their ids: the second one must never be asked to take it, however late the first one's end is heard of.
    await changePolicy(cluster, 'QA', { rolling: { minimumReadySeconds: 90 } });
    const [, second] = (await cluster.nodes('QA')).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const seen = await underLoad([second?.address ?? ''], async () => {
      const deployment = await waitForEnd(cluster, await deploy(cluster, '3.1.0', 'Production'));
      expect(deployment.status).toBe('RolledBack');
      expect(['target-crashes', 'target-failed']).toContain(deployment.reason.code);
      expect(stageOf(deployment, 'Development')?.status).toBe('Succeeded');
      expect(stageOf(deployment, 'QA')?.status).toBe('RolledBack');
    });
    expect(seen).toMatchObject(untouched);
    expect([...seen.versions.keys()]).toEqual([`${moduleName}@2.0.0`]);
  });

  it('that takes its nodes’ processes with it goes back, and no node beyond them gets it', async () => {
    await publishVersion(cluster, { version: '3.1.1' });
    const [first, second] = (await cluster.nodes('QA')).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const seen = await underLoad([second?.address ?? ''], async () => {
      const id = await deploy(cluster, '3.1.1', 'QA');
      // No module can end its node's process, so the test does: each time right after it has activated the version.
      const killed = new Set<number>();
      for (const which of ['once', 'twice']) {
        await waitFor(`the first node to be killed ${which}`, async () => {
          const node = (await cluster.nodes('QA')).find(({ id: nodeId }) => nodeId === first?.id);
          const active = node?.modules.find(({ name }) => name === moduleName)?.activeVersion;
          if (!node || active !== '3.1.1' || killed.has(node.pid)) return false;
          process.kill(node.pid, 'SIGKILL');
          killed.add(node.pid);
          return true;
        });
      }
      const deployment = await waitForEnd(cluster, id);
      expect(deployment.status).toBe('RolledBack');
      expect(deployment.reason).toMatchObject({
        code: 'target-kills-nodes',
        data: { deathsMin: 2, deadlySeconds: 30 },
      });
      expect(stageOf(deployment, 'QA')?.status).toBe('RolledBack');
    });
    expect(seen).toMatchObject(untouched);
    expect([...seen.versions.keys()]).toEqual([`${moduleName}@2.0.0`]);
    await changePolicy(cluster, 'QA', { rolling: { minimumReadySeconds: 1 } });
  });

  describe('whose artifact is gone', () => {
    it('before anything was done is refused', async () => {
      const { digest } = await publishVersion(cluster, { version: '3.2.0' });
      await inDatabase(cluster, [`UPDATE hotswap.artifact SET bytes = '' WHERE digest = $1`, [digest]]);
      const deployment = await waitForEnd(cluster, await deploy(cluster, '3.2.0', 'Production'));
      expect(deployment.status).toBe('Failed');
      expect(deployment.reason.code).toBe('signature-refused');
      expect(deployment.reason.message).toContain(digest);
    });

    it('in the middle goes back where nodes could not fetch it', async () => {
      const { digest } = await publishVersion(cluster, { version: '3.2.1' });
      await changePolicy(cluster, 'QA', { progressDeadlineSeconds: 5, rolling: { minimumReadySeconds: 20 } });
      const seen = await underLoad(await cluster.addresses('QA'), async () => {
        const id = await deploy(cluster, '3.2.1', 'Production');
        await waitForStep(cluster, id, 'QA', 1);
        // Before the second node's turn. Foreign keys keep that from happening by the API.
        await inDatabase(cluster, 'SET LOCAL session_replication_role = replica', [
          'DELETE FROM hotswap.artifact WHERE digest = $1',
          [digest],
        ]);
        const deployment = await waitForEnd(cluster, id);
        expect(deployment.status).toBe('RolledBack');
        expect(deployment.reason.code).toBe('progress-deadline');
        expect(stageOf(deployment, 'QA')?.status).toBe('RolledBack');
      });
      expect(seen).toMatchObject(untouched);
      expect(await cluster.activeVersions('QA', moduleName)).toEqual(['2.0.0', '2.0.0']);
    });
  });
});
