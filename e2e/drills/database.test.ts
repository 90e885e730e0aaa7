import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { inDatabase, replaceByCopy, takeCopy } from '../support/database.js';
import { deploy, waitForEnd } from '../support/deployments.js';
import {
  deployToCanaryShare,
  letCanaryGoOn,
  startDrillCluster,
  underLoad,
  untouched,
  waitForVersion,
  waitUntilHealthy,
} from '../support/drill-cluster.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { moduleName, publishVersion } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

/** The tests build on each other; each leaves the cluster Healthy. */
describe('Postgres', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startDrillCluster({ Production: 2 });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  afterEach(() => waitUntilHealthy(cluster));

  const isReady = () => cluster.get('/health/ready').then(({ status }) => status === 200);
  const isNotReady = () => cluster.get('/health/ready').then(({ status }) => status === 503);

  /** Deploys to Production, does something to Postgres in the middle of its canary, and sees the deployment succeed. */
  async function deployThrough(version: string, trouble: () => Promise<void>): Promise<void> {
    await publishVersion(cluster, { version });
    const seen = await underLoad(await cluster.addresses('Production'), async () => {
      const id = await deployToCanaryShare(cluster, version);
      await trouble();
      await waitFor('the orchestrator to be ready', isReady);
      // It may not have noticed anything yet: then this fails, and is done again.
      await waitFor('the canary to be let go on', async () => {
        await letCanaryGoOn(cluster);
        return true;
      });
      expect((await waitForEnd(cluster, id)).status).toBe('Succeeded');
    });
    expect(seen).toMatchObject(untouched);
    await waitForVersion(cluster, 'Production', version);
  }

  it('killed and started again is nothing but a pause', async () => {
    const orchestrator = cluster.pid('orchestrator-api');
    await deployThrough('6.0.0', async () => cluster.kill('postgres'));
    expect(cluster.pid('orchestrator-api')).toBe(orchestrator);
  });

  it('refusing connections for a while is nothing but a pause', async () => {
    const orchestrator = cluster.pid('orchestrator-api');
    await deployThrough('6.1.0', async () => {
      cluster.holdLauncher();
      // "Fast": it ends its sessions, then itself.
      process.kill(cluster.pid('postgres'), 'SIGINT');
      await waitFor('the orchestrator to say so', isNotReady);
      cluster.letLauncherGo();
    });
    expect(cluster.pid('orchestrator-api')).toBe(orchestrator);
  });

  it('paused, so that it answers nothing, is nothing but a pause', async () => {
    const orchestrator = cluster.pid('orchestrator-api');
    await deployThrough('6.2.0', async () => {
      // The one that makes the others first, so that no other one comes meanwhile.
      const pids = [cluster.pid('postgres')];
      try {
        process.kill(cluster.pid('postgres'), 'SIGSTOP');
        await waitFor('it to stand still', () => stateOf(cluster.pid('postgres')) === 'T');
        for (const pid of childrenOf(cluster.pid('postgres'))) {
          pids.push(pid);
          process.kill(pid, 'SIGSTOP');
        }
        await waitFor('the orchestrator to say so', isNotReady);
      } finally {
        for (const pid of pids) process.kill(pid, 'SIGCONT');
      }
    });
    expect(cluster.pid('orchestrator-api')).toBe(orchestrator);
  });

  it('restored from an older copy locks no node out: it takes up a later epoch, and the next deployment', async () => {
    await publishVersion(cluster, { version: '6.3.0' });
    cluster.holdLauncher();
    const orchestrator = cluster.pid('orchestrator-api');
    cluster.kill('orchestrator-api');
    await takeCopy(cluster, 'older');
    cluster.letLauncherGo();
    await waitFor('the next orchestrator', () => cluster.pid('orchestrator-api') !== orchestrator);
    await waitFor('the orchestrator to be ready', isReady);

    const seen = await underLoad(await cluster.addresses('Production'), async () => {
      expect((await waitForEnd(cluster, await deploy(cluster, '6.3.0', 'Production'))).status).toBe('Succeeded');
      await replaceByCopy(cluster, 'older');
      // The copy knows nothing of 6.3.0, and what it knows counts.
      await waitFor('a later epoch', async () => {
        const [row] = await inDatabase<{ epoch: number }>(cluster, 'SELECT epoch FROM hotswap.system');
        return row?.epoch === 2;
      });
      // The copy's rows say so from the beginning: the nodes are asked themselves.
      for (const address of await cluster.addresses('Production')) {
        await waitFor(`${address} to serve 6.2.0`, async () => {
          const { headers } = await cluster.get(`${address}/${moduleName}/`);
          return headers.get('x-hotswap-module') === `${moduleName}@6.2.0`;
        });
      }
      await waitForVersion(cluster, 'Production', '6.2.0');
      expect((await waitForEnd(cluster, await deploy(cluster, '6.3.0', 'Production'))).status).toBe('Succeeded');
    });
    expect(seen).toMatchObject(untouched);
    expect(await cluster.activeVersions('Production', moduleName)).toEqual(['6.3.0', '6.3.0']);
  });
});

/** One letter, as proc_pid_stat(5) has it. */
function stateOf(pid: number): string | undefined {
  return /.*\) (.)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
