import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedLoopLoad } from '../support/closed-loop-load.js';
import { deploy, stageOf, waitForEnd } from '../support/deployments.js';
import { startLocalCluster, type Environment, type LocalCluster } from '../support/local-cluster.js';

/** Version 2.2.0 fails one EUR payment in ten: no health check sees that, only real traffic does. The tests build on each other. */
describe('A version that fails some of its requests', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startLocalCluster({
      env: {
        HOTSWAP_NODES_DEVELOPMENT: '1',
        HOTSWAP_NODES_QA: '2',
        HOTSWAP_NODES_STAGING: '1',
        HOTSWAP_NODES_PRODUCTION: '3',
      },
    });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  /** Half of the requests are EUR payments; unloaded that makes some 150 requests a second over all nodes. */
  async function deployUnderLoad(environment: Environment) {
    const load = new ClosedLoopLoad({ addresses: await cluster.addresses(environment), pauseMilliseconds: 45 });
    load.start();
    try {
      return { deployment: await waitForEnd(cluster, await deploy(cluster, '2.2.0', 'Production')), load };
    } finally {
      await load.stop();
    }
  }

  it('is taken back in QA where QA has traffic', async () => {
    const { deployment } = await deployUnderLoad('QA');
    expect(deployment.status).toBe('RolledBack');
    expect(stageOf(deployment, 'QA')?.status).toBe('RolledBack');
    expect(stageOf(deployment, 'Staging')?.status).toBe('Skipped');
    expect(deployment.reason.message).toMatch(/\d+ of \d+ requests \(.+ %\) failed on 2\.2\.0/);
    expect(await cluster.activeVersions('QA', 'payment-processor')).toEqual(['2.0.0', '2.0.0']);
    expect(await cluster.activeVersions('Production', 'payment-processor')).toEqual(['2.0.0', '2.0.0', '2.0.0']);
  });

  it('is taken back in Production without a hand, and hardly anybody has noticed', async () => {
    const { deployment, load } = await deployUnderLoad('Production');
    expect(deployment.status).toBe('RolledBack');
    expect(stageOf(deployment, 'Production')?.status).toBe('RolledBack');
    expect(deployment.reason.message).toMatch(/\d+ of \d+ requests \(.+ %\) failed on 2\.2\.0/);
    expect(await cluster.activeVersions('Production', 'payment-processor')).toEqual(['2.0.0', '2.0.0', '2.0.0']);
    const { total, failed, failures, versions } = load.counts;
    expect(versions.get('payment-processor@2.2.0')).toBeGreaterThanOrEqual(50);
    expect(failed / total).toBeLessThanOrEqual(0.01);
    // What failed was the module's own answer; the way there and back cost nothing.
    expect(failures.filter(({ status }) => status !== 500)).toEqual([]);
  });
});
