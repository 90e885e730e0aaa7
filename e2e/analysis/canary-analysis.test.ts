import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedLoopLoad } from '../support/closed-loop-load.js';
import { deploy, look, stageOf, waitForEnd, type Deployment } from '../support/deployments.js';
import { changePolicy, waitForVersion, waitUntilHealthy } from '../support/drill-cluster.js';
import { startLocalCluster, type LocalCluster } from '../support/local-cluster.js';
import { publishVersion } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

/** `npm run test:rounds` asks for ten. */
const rounds = Number(process.env['HOTSWAP_CANARY_ROUNDS'] ?? 1);
const module = 'payment-processor';

/** Steps of half a minute at most; the analysis' own numbers are the standard ones, but that gauges are read more often. */
const policy = { canary: canaryOf(30) };
/** For what is expected to go through: nothing is waited for longer than it takes to be wrong. */
const brisk = { canary: canaryOf(15) };

function canaryOf(maximumSeconds: number) {
  return {
    scout: { percent: 5, seconds: 5 },
    steps: [
      ...[10, 30, 50].map((percent) => ({ percent, minimumSeconds: 5, maximumSeconds })),
      { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
    ],
    analysis: {
      twin: true,
      bakeSeconds: 0,
      inconclusive: 'advance',
      parameters: { gaugeSeconds: 5, excludedSeconds: 5 },
    },
  };
}

/** One step at half the requests, at whose end nodes probe; "worse" is two points more errors, so that hundreds of probes prove it and not thousands. */
const probing = {
  canary: {
    scout: null,
    steps: [
      { percent: 50, minimumSeconds: 2, maximumSeconds: 5 },
      { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
    ],
    analysis: { twin: true, bakeSeconds: 0, inconclusive: 'probe', parameters: { eps: 0.02 } },
  },
};

/** A request that 2.0.0 names too. */
const silentSmoke = [
  {
    request: { method: 'POST', path: '/payments', json: { amount: 0 } },
    expect: { status: 400, json: { code: 'validation-failed' } },
  },
];

interface Measures {
  requests: number;
  failures: number;
}
interface Metrics {
  cluster: Measures;
  modules: (Measures & { version: string })[];
  nodes: Measures[];
  series: Measures[];
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
  });
  afterAll(async () => cluster.stop());

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

  it('counts what a load generator counted: in sums, by version and node, over time, and in the stream', async () => {
    const path = `/api/v1/clusters/Production/metrics?moduleName=${module}&from=${new Date().toISOString()}`;
    const { load } = await underLoad(() => new Promise((resolve) => setTimeout(resolve, 5_000)));
    const { total, failed, versions } = load.counts;
    const isWhole = ({ cluster: sums }: Metrics) => sums.requests === total;
    const { body } = await waitFor(`${total} requests in the metrics`, async () => {
      const answer = await cluster.get<Metrics>(`${path}&stepSeconds=1`);
      return isWhole(answer.body) ? answer : null;
    });
    const sum = (measures: { requests: number; failures: number }[]) => [
      measures.reduce((all, { requests }) => all + requests, 0),
      measures.reduce((all, { failures }) => all + failures, 0),
    ];
    for (const parts of [body.modules, body.nodes, body.series]) expect(sum(parts)).toEqual([total, failed]);
    expect(body.modules.map(({ version, requests }) => [`${module}@${version}`, requests])).toEqual([...versions]);
    expect(body.series.length).toBeGreaterThan(4);
    const streamed = await firstEvent<Metrics>(new URL(path, cluster.url), isWhole);
    expect(sum(streamed.nodes)).toEqual([total, failed]);
  });

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
  }, 900_000);

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
  }, 900_000);

  it('finds a version that leaks', async () => {
    await publishVersion(cluster, {
      version: '2.0.2',
      preamble: 'const kept = []; setInterval(() => kept.push(Buffer.alloc(1024 * 1024, 1)), 700).unref();',
      members:
        'fetch: (request, env) => Response.json({ version: env.version }, { status: request.method === "POST" ? 201 : 200 })',
      manifest: { limits: { memoryMiB: 512 } },
    });
    const { analysis } = policy.canary;
    const patient = {
      ...policy.canary,
      analysis: { ...analysis, bakeSeconds: 240, parameters: { ...analysis.parameters, gaugeSeconds: 2 } },
    };
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

  it('has nodes probe a version that nobody asks, and lets it through when they have proved it', async () => {
    await changePolicy(cluster, 'Production', probing);
    const requestsSince = async (from: Date) => {
      const path = `/api/v1/clusters/Production/metrics?moduleName=${module}&from=${from.toISOString()}`;
      return (await cluster.get<Metrics>(path)).body.cluster.requests;
    };
    await waitFor('the last of the users', async () => (await requestsSince(new Date(Date.now() - 5_000))) === 0);
    const began = new Date();
    const id = await deploy(cluster, '2.1.0', 'Production');
    try {
      const deployment = await waitForEnd(cluster, id, undefined, 300);
      console.log(`probed: ${deployment.status}; ${deployment.reason.message}`);
      expect(deployment.status).toBe('Succeeded');
      const { body } = await cluster.get<{ items: { rule: string }[] }>(`/api/v1/deployments/${id}/explanation`);
      expect(body.items.map(({ rule }) => rule)).toContain('probing');
      expect(await requestsSince(began)).toBe(0);
    } finally {
      if ((await look(cluster, id))?.status === 'Succeeded') await takeBack(id);
    }
  });

  it('takes a version back that gives probes no answer', async () => {
    await publishVersion(cluster, {
      version: '2.0.3',
      // Its own smoke request, and fewer of the nodes' than would prove anything.
      preamble: 'let answered = 0;',
      members: `fetch: async (request) => {
        if (++answered > 20) await new Promise(() => undefined);
        const { amount } = await request.json();
        return amount === 0 ? Response.json({ code: "validation-failed" }, { status: 400 }) : Response.json({}, { status: 201 });
      }`,
      manifest: { smoke: silentSmoke, health: { timeoutSeconds: 1 } },
    });
    await changePolicy(cluster, 'Production', probing);
    const deployment = await take('2.0.3');
    console.log(`unanswered: ${deployment.status}; ${deployment.reason.message}`);
    expect(deployment.status).toBe('RolledBack');
    expect((await verdictsOf(deployment.id)).map(({ verdict }) => verdict)).toEqual(['contain', 'rollback']);
    await waitForVersion(cluster, 'Production', '2.0.0');
  }, 900_000);

  it('takes a slowdown of all nodes for no fault of the version', async () => {
    const nodes = [...cluster.pids()]
      .filter(([name]) => name.startsWith('kernel-node-production'))
      .map(([, pid]) => pid);
    let slow = true;
    await changePolicy(cluster, 'Production', brisk);
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
  }, 900_000);

  it(`lets 2.1.0 through ${rounds} times in a row`, async () => {
    const outcomes: string[] = [];
    await changePolicy(cluster, 'Production', brisk);
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

/** The data of the stream's first event that is as wanted. */
async function firstEvent<T>(url: URL, isWanted: (data: T) => boolean): Promise<T> {
  const signal = AbortSignal.timeout(30_000);
  const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal });
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const line = text
        .slice(0, end)
        .split('\n')
        .find((each) => each.startsWith('data: '));
      const data = line === undefined ? null : (JSON.parse(line.slice(6)) as T);
      if (data !== null && isWanted(data)) return data;
    }
  }
  throw new Error('The stream has ended.');
}
