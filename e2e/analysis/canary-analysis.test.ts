import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedLoopLoad } from '../support/closed-loop-load.js';
import { deploy, stageOf, waitForEnd, type Deployment } from '../support/deployments.js';
import { changePolicy, waitForVersion, waitUntilHealthy } from '../support/drill-cluster.js';
import { startLocalCluster, type LocalCluster } from '../support/local-cluster.js';
import { publishVersion } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

const rounds = Number(process.env['HOTSWAP_CANARY_ROUNDS'] ?? 10);
const module = 'payment-processor';

/** Steps as long as a minute at most; the analysis' own numbers are the standard ones, but that gauges are read more often. */
const policy = {
  canary: {
    scout: { percent: 5, seconds: 5 },
    steps: [
      { percent: 10, minimumSeconds: 5, maximumSeconds: 30 },
      { percent: 30, minimumSeconds: 5, maximumSeconds: 30 },
      { percent: 50, minimumSeconds: 5, maximumSeconds: 30 },
      { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
    ],
    analysis: {
      twin: true,
      bakeSeconds: 0,
      inconclusive: 'advance',
      parameters: { gaugeSeconds: 5, excludedSeconds: 5 },
    },
  },
};

interface Metrics {
  modules: { version: string; requests: number; failures: number }[];
}
interface Analysis {
  items: { environment: string; entries: { kind: string; verdict?: string; because?: string; at: number }[] }[];
}

/** Real processes, real traffic. Each test leaves Production on 2.0.0. */
describe('The analysis on the real system', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startLocalCluster({
      env: {
        HOTSWAP_NODES_DEVELOPMENT: '1',
        HOTSWAP_NODES_QA: '1',
        HOTSWAP_NODES_STAGING: '1',
        HOTSWAP_NODES_PRODUCTION: '3',
      },
    });
    await changePolicy(cluster, 'Production', policy);
  }, 240_000);
  afterAll(async () => cluster.stop(), 120_000);

  async function underLoad<T>(action: () => Promise<T>, connections = 8): Promise<{ result: T; load: ClosedLoopLoad }> {
    const load = new ClosedLoopLoad({
      addresses: await cluster.addresses('Production'),
      connections,
      pauseMilliseconds: 30,
    });
    load.start();
    try {
      return { result: await action(), load };
    } finally {
      await load.stop();
    }
  }

  async function verdictsOf(id: string) {
    const { body } = await cluster.get<Analysis>(`/api/v1/deployments/${id}/analysis`);
    return body.items.flatMap(({ entries }) => entries.filter(({ kind }) => kind === 'verdict'));
  }

  const take = async (version: string): Promise<Deployment> =>
    waitForEnd(cluster, await deploy(cluster, version, 'Production'), undefined, 600);

  it('counts what a load generator counted, by version', async () => {
    const { load } = await underLoad(() => new Promise((resolve) => setTimeout(resolve, 5_000)));
    const { counts } = load;
    await waitFor(`${counts.total} requests in the metrics`, async () => {
      const { body } = await cluster.get<Metrics>(`/api/v1/clusters/Production/metrics?moduleName=${module}`);
      return body.modules.reduce((sum, { requests }) => sum + requests, 0) === counts.total;
    });
  }, 60_000);

  it('finds 2.2.0, which fails one EUR payment in ten, and few people meet it', async () => {
    const before = new ClosedLoopLoad({
      addresses: await cluster.addresses('Production'),
      connections: 8,
      pauseMilliseconds: 30,
    });
    before.start();
    const deployment = await take('2.2.0');
    await before.stop();
    const { total, failed } = before.counts;
    const verdicts = await verdictsOf(deployment.id);
    console.log(
      `2.2.0: ${deployment.status}, ${failed} of ${total} requests failed (${((100 * failed) / total).toFixed(3)} %); ${deployment.reason.message}; verdicts ${JSON.stringify(verdicts.map(({ at, verdict, because }) => [at, verdict, because]))}`,
    );
    expect(deployment.status).toBe('RolledBack');
    expect(stageOf(deployment, 'Production')?.status).toBe('RolledBack');
    expect(failed / total).toBeLessThanOrEqual(0.005);
    const replay = await cluster.post<{ verdicts: object[]; summary: { blocks: number } }>(
      `/api/v1/deployments/${deployment.id}/replay`,
      {},
    );
    expect(replay.status).toBe(200);
    expect(replay.body.verdicts.filter((line) => (line as { verdict: string }).verdict !== 'promote')).toHaveLength(
      verdicts.length,
    );
    expect(replay.body.summary.blocks).toBeGreaterThan(0);
    const folder = mkdtempSync(join(tmpdir(), 'hotswap-recording-'));
    try {
      const { body } = await cluster.get<string>(`/api/v1/deployments/${deployment.id}/recording`);
      writeFileSync(join(folder, 'recording.jsonl'), body);
      const main = join(import.meta.dirname, '..', '..', 'apps', 'analyze', 'dist', 'main.js');
      const said = execFileSync(process.execPath, [main, join(folder, 'recording.jsonl')], { encoding: 'utf8' });
      const lines = said
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(lines).toEqual([...replay.body.verdicts, replay.body.summary]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 600_000);

  it('finds a version that is only slower', async () => {
    await publishVersion(cluster, {
      version: '2.0.1',
      members:
        'fetch: async (request, env) => { await new Promise((done) => setTimeout(done, 60)); return Response.json({ version: env.version }, { status: request.method === "POST" ? 201 : 200 }); }',
    });
    const { result, load } = await underLoad(() => take('2.0.1'));
    console.log(`slow: ${result.status}; ${result.reason.message}`);
    expect(result.status).toBe('RolledBack');
    expect(load.counts.failed).toBe(0);
    await waitForVersion(cluster, 'Production', '2.0.0');
  }, 600_000);

  it('finds a version that leaks', async () => {
    await publishVersion(cluster, {
      version: '2.0.2',
      preamble: 'const kept = []; setInterval(() => kept.push(Buffer.alloc(1024 * 1024, 1)), 700).unref();',
      members:
        'fetch: (request, env) => Response.json({ version: env.version }, { status: request.method === "POST" ? 201 : 200 })',
      manifest: { limits: { memoryMiB: 512 } },
    });
    const patient = { ...policy.canary, analysis: { ...policy.canary.analysis, bakeSeconds: 240 } };
    await changePolicy(cluster, 'Production', { canary: patient });
    try {
      const { result } = await underLoad(() => take('2.0.2'));
      console.log(`leak: ${result.status}; ${result.reason.message}`);
      expect(result.status).toBe('RolledBack');
      expect(result.reason.message).toContain('memory');
    } finally {
      await changePolicy(cluster, 'Production', policy);
    }
    await waitForVersion(cluster, 'Production', '2.0.0');
  }, 900_000);

  it('takes a slowdown of all nodes for no fault of the version', async () => {
    const nodes = [...cluster.pids()]
      .filter(([name]) => name.startsWith('kernel-node-production'))
      .map(([, pid]) => pid);
    let slow = true;
    const { result } = await underLoad(async () => {
      const slowing = (async () => {
        while (slow) {
          for (const pid of nodes) process.kill(pid, 'SIGSTOP');
          await new Promise((resolve) => setTimeout(resolve, 120));
          for (const pid of nodes) process.kill(pid, 'SIGCONT');
          await new Promise((resolve) => setTimeout(resolve, 280));
        }
      })();
      try {
        return await take('2.1.0');
      } finally {
        slow = false;
        await slowing;
      }
    });
    console.log(`slowdown: ${result.status}; ${result.reason.message}`);
    expect(result.status).toBe('Succeeded');
    await takeBack(result.id);
  }, 600_000);

  it(`lets 2.1.0 through ${rounds} times in a row`, async () => {
    const outcomes: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const { result, load } = await underLoad(() => take('2.1.0'));
      outcomes.push(`${result.status} (${load.counts.failed} of ${load.counts.total} failed)`);
      expect({ round, status: result.status, why: result.reason.message }).toMatchObject({ status: 'Succeeded' });
      await takeBack(result.id);
    }
    console.log(`2.1.0: ${outcomes.join(', ')}`);
  }, 1_800_000);

  async function takeBack(id: string): Promise<void> {
    const answer = await cluster.post(`/api/v1/deployments/${id}/rollback`, { scope: 'environment' });
    expect(answer.status).toBe(202);
    await waitForEnd(cluster, id, ['RolledBack']);
    await waitUntilHealthy(cluster, ['Production']);
  }
});
