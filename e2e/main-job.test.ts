import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedLoopLoad } from './support/closed-loop-load.js';
import { deploy, waitForEnd } from './support/deployments.js';
import { waitForVersion } from './support/drill-cluster.js';
import { startLocalCluster, type LocalCluster } from './support/local-cluster.js';
import { waitFor } from './support/wait-for.js';

/** The README's story on real processes, one cluster for all of it: the tests run in order and build on each other. */
describe('The main job', () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'hotswap-e2e-'));
  let cluster: LocalCluster;

  beforeAll(async () => {
    // Postgres runs as another user when the tests run as root, and has to get in.
    chmodSync(dataDirectory, 0o755);
    cluster = await startLocalCluster({ dataDirectory });
  });

  afterAll(async () => {
    await cluster.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  });

  it('takes 2.1.0 through four environments under load, both versions seen, no request failed', async () => {
    const load = new ClosedLoopLoad({ addresses: await cluster.addresses('Production'), pauseMilliseconds: 20 });
    load.start();
    const finished = await waitForEnd(cluster, await deploy(cluster, '2.1.0', 'Production'));
    const seen = await load.stop();

    expect(finished.reason.message).toContain('2.1.0');
    expect(finished.status).toBe('Succeeded');
    expect(finished.stages.map(({ name, environment, strategy }) => [name, environment, strategy])).toEqual([
      ['Verify', undefined, undefined],
      ['Deploy', 'Development', 'Direct'],
      ['Deploy', 'QA', 'Rolling'],
      ['Deploy', 'Staging', 'BlueGreen'],
      ['Deploy', 'Production', 'Canary'],
      ['Validate', 'Production', undefined],
    ]);
    expect(seen.failures).toEqual([]);
    expect(seen.failed).toBe(0);
    expect(seen.versions.get('payment-processor@2.0.0')).toBeGreaterThan(100);
    expect(seen.versions.get('payment-processor@2.1.0')).toBeGreaterThan(100);
  });

  it('counts what the nodes really answered', async () => {
    const load = new ClosedLoopLoad({ addresses: await cluster.addresses('Production'), pauseMilliseconds: 20 });
    load.start();
    await waitFor('metrics show traffic', async () => {
      const { body } = await cluster.get<{ cluster: { requests: number | null; failures: number | null } }>(
        '/api/v1/clusters/Production/metrics',
      );
      return (body.cluster.requests ?? 0) > 100 && body.cluster.failures === 0;
    });
    await load.stop();
  });

  it('rolls the finished deployment back under load, no request failed', async () => {
    const load = new ClosedLoopLoad({ addresses: await cluster.addresses('Production'), pauseMilliseconds: 20 });
    load.start();
    const { body: list } = await cluster.get<{ items: { id: string }[] }>(
      '/api/v1/deployments?moduleName=payment-processor&status=succeeded&limit=1',
    );
    const id = list.items[0]?.id ?? '';
    const { status } = await cluster.post(`/api/v1/deployments/${id}/rollback`);
    expect(status).toBe(202);
    const finished = await waitForEnd(cluster, id, ['RolledBack']);
    const seen = await load.stop();
    expect(finished.status).toBe('RolledBack');
    expect(seen.failures).toEqual([]);
    expect(await cluster.activeVersions('Production', 'payment-processor')).toEqual(Array(5).fill('2.0.0'));
    // Environments before it keep the target.
    expect(await cluster.activeVersions('QA', 'payment-processor')).toEqual(Array(2).fill('2.1.0'));
  });

  it('resumes where it was after Ctrl-C and a second start', async () => {
    await cluster.stop();
    cluster = await startLocalCluster({ dataDirectory });
    await waitForVersion(cluster, 'Production', '2.0.0');
    await waitForVersion(cluster, 'QA', '2.1.0');
  });

  it('resumes where it was after SIGKILL of everything', async () => {
    await cluster.killEverything();
    cluster = await startLocalCluster({ dataDirectory });
    await waitForVersion(cluster, 'Production', '2.0.0');
    await waitForVersion(cluster, 'QA', '2.1.0');
  });
});
