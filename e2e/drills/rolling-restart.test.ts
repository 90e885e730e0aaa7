import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { identifyProcess } from '../../apps/local-cluster/src/supervisor/process-identity.js';
import { isReady } from '../../tools/is-ready.js';
import { startDrillCluster, underLoad, untouched, waitUntilHealthy } from '../support/drill-cluster.js';
import { hasHaproxy, LoadBalancer } from '../support/load-balancer.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { RecipeProcess, recipeOf } from '../support/process-recipe.js';
import { moduleName } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

if (!hasHaproxy) console.warn('Skipped: there is no haproxy on the PATH; apt-get install haproxy brings it.');

(hasHaproxy ? describe : describe.skip)('Nodes behind HAProxy', () => {
  const names = [1, 2, 3].map((number) => `kernel-node-production-${number}`);
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startDrillCluster({ Production: names.length });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  it('end by SIGTERM and come back one after the other without a failed request', async () => {
    const recipes = names.map((name) => recipeOf(cluster, name));
    // Local nodes are lame ducks for half a second only; these give the balancer the time it needs.
    const start = (index: number) => {
      const recipe = recipes[index];
      if (!recipe) throw new RangeError(`There is no node ${index}`);
      return new RecipeProcess(recipe, { HOTSWAP_LAME_DUCK_SECONDS: '5', HOTSWAP_DRAIN_SECONDS: '10' });
    };
    const addresses = recipes.map(({ variables }) => variables['HOTSWAP_ADDRESS'] ?? '');
    const isReadyAt = (index: number) => isReady(addresses[index] ?? '');

    cluster.holdLauncher();
    const pids = names.map((name) => cluster.pid(name));
    pids.forEach((pid) => process.kill(pid, 'SIGTERM'));
    await waitFor('their end', () => pids.every((pid) => identifyProcess(pid) === null));
    const nodes = names.map((_, index) => start(index));
    let balancer: LoadBalancer | null = null;
    try {
      for (const index of names.keys()) await waitFor('the node to be ready', () => isReadyAt(index));
      balancer = await LoadBalancer.start(addresses);
      const seen = await underLoad([balancer.address], async (soFar) => {
        for (const index of names.keys()) {
          const { total } = soFar;
          await nodes[index]?.end('SIGTERM');
          expect(nodes[index]?.exitCode).toBe(0);
          nodes[index] = start(index);
          await waitFor('the node to be ready', () => isReadyAt(index));
          // As whoever restarts nodes waits: for what the control plane says, and the balancer has seen it too.
          await waitUntilHealthy(cluster);
          await waitFor('requests to have met all that', () => soFar.total > total + 100);
        }
      });
      expect(seen).toMatchObject(untouched);
      expect([...seen.versions.keys()]).toEqual([`${moduleName}@2.0.0`]);
    } finally {
      await balancer?.stop();
      await Promise.all(nodes.map((node) => node.end('SIGTERM')));
      cluster.letLauncherGo();
    }
  });
});
