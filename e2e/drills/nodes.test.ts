import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { identifyProcess } from '../../apps/local-cluster/src/supervisor/process-identity.js';
import { freePort } from '../../tools/free-port.js';
import { isReady } from '../../tools/is-ready.js';
import { deploy, look, stageOf, waitForEnd } from '../support/deployments.js';
import {
  deployToCanaryShare,
  letCanaryGoOn,
  startDrillCluster,
  underLoad,
  untouched,
  waitForVersion,
  waitUntilHealthy,
} from '../support/drill-cluster.js';
import { type ClusterNode, type LocalCluster } from '../support/local-cluster.js';
import { RecipeProcess, recipeOf } from '../support/process-recipe.js';
import { moduleName, publishVersion } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

/** The tests build on each other; each leaves the cluster Healthy. */
describe('A node', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startDrillCluster({ Production: 3 });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  afterEach(() => waitUntilHealthy(cluster));

  const first = 'kernel-node-production-1';
  /** What the API says of the node that a supervised process is. */
  async function nodeOf(name: string): Promise<ClusterNode> {
    const address = recipeOf(cluster, name).variables['HOTSWAP_ADDRESS'];
    const node = (await cluster.nodes('Production')).find((each) => each.address === address);
    if (!node) throw new Error(`The API knows no node at ${address}`);
    return node;
  }
  async function addressesBut(...names: string[]): Promise<string[]> {
    const hit = await Promise.all(names.map(async (name) => (await nodeOf(name)).address));
    const nodes = (await cluster.nodes('Production')).filter(({ state }) => state !== 'Gone');
    return nodes.map(({ address }) => address).filter((address) => !hit.includes(address));
  }

  it('killed in the middle of a swap comes back into it', async () => {
    const seen = await underLoad(await addressesBut(first), async () => {
      const id = await deployToCanaryShare(cluster, '2.1.0');
      const { pid } = await nodeOf(first);
      cluster.kill(first);
      await waitFor('it to be back', async () => {
        const node = await nodeOf(first);
        const module = node.modules.find(({ name }) => name === moduleName);
        return node.pid !== pid && node.state === 'Ready' && module?.candidateVersion === '2.1.0';
      });
      await letCanaryGoOn(cluster);
      expect((await waitForEnd(cluster, id)).status).toBe('Succeeded');
    });
    expect(seen).toMatchObject(untouched);
    await waitForVersion(cluster, 'Production', '2.1.0');
  });

  it('that falls silent is no bad version: one is left out, two are waited for', async () => {
    await publishVersion(cluster, { version: '4.0.0' });
    const silent = [first, 'kernel-node-production-2'].map((name) => cluster.pid(name));
    const seen = await underLoad(await addressesBut(first, 'kernel-node-production-2'), async () => {
      const id = await deployToCanaryShare(cluster, '4.0.0');
      for (const pid of silent) process.kill(pid, 'SIGSTOP');
      try {
        await waitFor('the deployment to wait for both', async () => {
          const deployment = await look(cluster, id);
          return deployment?.status === 'Running' && deployment.reason.code === 'nodes-lost';
        });
        process.kill(silent[1] ?? 0, 'SIGCONT');
        await letCanaryGoOn(cluster);
        const deployment = await waitForEnd(cluster, id);
        expect(deployment.status).toBe('Succeeded');
        expect(stageOf(deployment, 'Production')?.status).toBe('Succeeded');
        expect((await nodeOf(first)).state).toBe('Lost');
      } finally {
        for (const pid of silent) process.kill(pid, 'SIGCONT');
      }
    });
    expect(seen).toMatchObject(untouched);
    // The one that was left out finds by itself what it is to run.
    await waitForVersion(cluster, 'Production', '4.0.0');
  });

  it('restarted while the control plane is away serves what its disk has', async () => {
    const recipe = recipeOf(cluster, first);
    const { address } = await nodeOf(first);
    const seen = await underLoad(await addressesBut(first), async () => {
      cluster.holdLauncher();
      const pid = cluster.pid(first);
      cluster.kill('orchestrator-api');
      cluster.kill(first);
      await waitFor('its end', () => identifyProcess(pid) === null);
      const node = new RecipeProcess(recipe);
      try {
        await waitFor('it to be ready', () => isReady(address));
        const answer = await fetch(`${address}/${moduleName}/version`);
        expect(answer.headers.get('x-hotswap-module')).toBe(`${moduleName}@4.0.0`);
        await expect(cluster.get('/health/live')).rejects.toThrow();
      } finally {
        await node.end('SIGTERM');
        cluster.letLauncherGo();
      }
      await waitFor('the launcher to start it again', () => cluster.pid(first) !== pid);
      await waitUntilHealthy(cluster);
    });
    expect(seen).toMatchObject(untouched);
  });

  it('whose clock jumps serves and is deployed to as any other', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hotswap-clock-'));
    const preload = join(directory, 'jumping-clock.mjs');
    writeFileSync(preload, jumpingClock);
    const { variables, ...recipe } = recipeOf(cluster, first);
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    await publishVersion(cluster, { version: '4.1.0' });
    const node = new RecipeProcess(
      { ...recipe, variables },
      {
        NODE_OPTIONS: `--import=${preload}`,
        HOTSWAP_NODE_DIR: join(directory, 'node'),
        HOTSWAP_ADDRESS: address,
        PORT: String(port),
      },
    );
    try {
      await waitFor('it to be ready', () => isReady(address));
      await waitUntilHealthy(cluster);
      const seen = await underLoad(await cluster.addresses('Production'), async () => {
        const id = await deploy(cluster, '4.1.0', 'Production');
        // An hour ahead, a day back, and right again, in every part of the deployment.
        const jumping = setInterval(() => node.send('SIGUSR2'), 700);
        try {
          expect((await waitForEnd(cluster, id)).status).toBe('Succeeded');
        } finally {
          clearInterval(jumping);
        }
      });
      await waitFor('it to have told of the jumps', () => node.output.includes('the clock jumped'));
      expect(seen).toMatchObject(untouched);
      expect(await cluster.activeVersions('Production', moduleName)).toEqual(Array(4).fill('4.1.0'));
    } finally {
      await node.end('SIGTERM');
      rmSync(directory, { recursive: true, force: true });
    }
    expect(node.exitCode).toBe(0);
  });

  it('that is a copy of another is told from it: the newest counts, the other one ends', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hotswap-copy-'));
    const { variables, ...recipe } = recipeOf(cluster, first);
    const { id, pid } = await nodeOf(first);
    // Without what the running node makes and removes meanwhile, and the copy makes for itself.
    const isKept = (path: string) => basename(path) !== 'unpacked' && !path.endsWith('.tmp');
    cpSync(variables['HOTSWAP_NODE_DIR'] ?? '', join(directory, 'node'), { recursive: true, filter: isKept });
    const port = await freePort();
    const seen = await underLoad(await addressesBut(first), async () => {
      const copy = new RecipeProcess(
        { ...recipe, variables },
        {
          HOTSWAP_NODE_DIR: join(directory, 'node'),
          HOTSWAP_ADDRESS: `http://127.0.0.1:${port}`,
          PORT: String(port),
        },
      );
      try {
        // The copy registers later and wins; the original ends, is started again, and is the latest in its turn.
        await waitFor('the copy to be fenced', () => copy.exitCode === 3);
        await waitFor('its last words', () => copy.output.includes('this one is a copy'));
        await waitFor('the original to be back', async () => {
          const node = await nodeOf(first);
          return node.id === id && node.pid !== pid && node.pid === cluster.pid(first) && node.state === 'Ready';
        });
      } finally {
        await copy.end('SIGKILL');
        rmSync(directory, { recursive: true, force: true });
      }
    });
    expect(seen).toMatchObject(untouched);
  });

  it('whose disk was emptied joins as a new one and gets everything anew', async () => {
    const { id } = await nodeOf(first);
    const [version] = await cluster.activeVersions('Production', moduleName);
    const { variables } = recipeOf(cluster, first);
    const directory = variables['HOTSWAP_NODE_DIR'] ?? '';
    const seen = await underLoad(await addressesBut(first), async () => {
      cluster.holdLauncher();
      const pid = cluster.pid(first);
      cluster.kill(first);
      await waitFor('its end', () => identifyProcess(pid) === null);
      for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
      expect(existsSync(join(directory, 'node.json'))).toBe(false);
      cluster.letLauncherGo();
      await waitFor('the new one to serve', async () => {
        const nodes = await cluster.nodes('Production');
        const node = nodes.find((each) => each.address === variables['HOTSWAP_ADDRESS'] && each.id !== id);
        const module = node?.modules.find(({ name }) => name === moduleName);
        return node?.state === 'Ready' && module?.activeVersion === version;
      });
    });
    expect(seen).toMatchObject(untouched);
    // Nobody is going to be the old one again: it is taken off, as a person would.
    expect((await cluster.delete(`/api/v1/nodes/${id}`)).status).toBe(202);
  });

  it('that is drained fails no request, and decommissioned it ends and is not started again', async () => {
    const name = 'kernel-node-production-3';
    const { id, address } = await nodeOf(name);
    const others = await addressesBut(name);
    const state = async () => (await cluster.get<ClusterNode>(`/api/v1/nodes/${id}`)).body.state;
    const drained = await underLoad([...others, address], async () => {
      expect((await cluster.post(`/api/v1/nodes/${id}/drain`)).status).toBe(202);
      await waitFor('its readiness to fail', async () => !(await isReady(address)));
      await waitFor('it to drain', async () => (await state()) === 'Draining');
    });
    expect(drained).toMatchObject(untouched);
    const gone = await underLoad(others, async () => {
      expect((await cluster.delete(`/api/v1/nodes/${id}`)).status).toBe(202);
      await waitFor('the launcher to leave it ended', () => cluster.output.includes('it is not started again'));
      await waitUntilHealthy(cluster);
    });
    expect(gone).toMatchObject(untouched);
    expect(existsSync(join(cluster.dataDirectory, 'run', `${name}.pid`))).toBe(false);
    expect((await cluster.nodes('Production')).map((node) => node.address)).not.toContain(address);
  });
});

/** Jumps at each SIGUSR2; modules are processes of their own and keep the right time. */
const jumpingClock = `
  const RealDate = Date;
  const hour = 3_600_000;
  const offsets = [0, hour, -24 * hour];
  let jumps = 0;
  const now = () => RealDate.now() + offsets[jumps % offsets.length];
  globalThis.Date = class extends RealDate {
    constructor(...words) { words.length === 0 ? super(now()) : super(...words); }
    static now() { return now(); }
  };
  process.on('SIGUSR2', () => { jumps++; console.log('the clock jumped to ' + new Date().toISOString()); });
`;
