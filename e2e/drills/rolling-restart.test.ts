import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
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
      return new RecipeProcess(recipe, { HOTSWAP_LAME_DUCK_SECONDS: '2', HOTSWAP_DRAIN_SECONDS: '10' });
    };
    const addresses = recipes.map(({ variables }) => variables['HOTSWAP_ADDRESS'] ?? '');
    const isReadyAt = (index: number) => isReady(addresses[index] ?? '');

    cluster.holdLauncher();
    names.forEach((name) => process.kill(cluster.pid(name), 'SIGTERM'));
    for (const index of names.keys()) {
      await waitFor('its end', () =>
        isReadyAt(index).then(
          () => false,
          () => true,
        ),
      );
    }
    const nodes = names.map((_, index) => start(index));
    let balancer: LoadBalancer | null = null;
    try {
      for (const index of names.keys()) await waitFor('the node to be ready', () => isReadyAt(index));
      balancer = await LoadBalancer.start(addresses);
      const seen = await underLoad([balancer.address], async () => {
        for (const index of names.keys()) {
          await nodes[index]?.end('SIGTERM');
          expect(nodes[index]?.exitCode).toBe(0);
          nodes[index] = start(index);
          await waitFor('the node to be ready', () => isReadyAt(index));
          // As whoever restarts nodes waits: for what the control plane says, and the balancer has seen it too.
          await waitUntilHealthy(cluster);
        }
      });
      expect(seen).toMatchObject(untouched);
      expect([...seen.versions.keys()]).toEqual([`${moduleName}@2.0.0`]);
      expect(seen.total).toBeGreaterThan(500);
    } finally {
      await balancer?.stop();
      await Promise.all(nodes.map((node) => node.end('SIGTERM')));
      cluster.letLauncherGo();
    }
  });
});
