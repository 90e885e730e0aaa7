import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { identifyProcess } from '../../apps/local-cluster/src/supervisor/process-identity.js';
import { inDatabase } from '../support/database.js';
import { deploy, look, waitForEnd, waitForStep, type Deployment } from '../support/deployments.js';
import { changePolicy, startDrillCluster, underLoad, untouched, waitUntilHealthy } from '../support/drill-cluster.js';
import { holdingMembers, holdRequest, type HeldRequest } from '../support/held-request.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { MortalControlPlane } from '../support/mortal-control-plane.js';
import { moduleName, publishVersion } from '../support/published-module.js';
import {
  quick,
  standing,
  strategies,
  strategyPolicy,
  waitForMiddle,
  type StrategyName,
} from '../support/strategy-policy.js';
import { waitFor } from '../support/wait-for.js';

interface Explanation {
  now: { rule: string; message: string; numbers: Record<string, unknown>; waitsFor: string | null };
  items: { rule: string; message: string }[];
}

/** What users of other tools report, year after year. The tests build on each other; each leaves the cluster Healthy. */
describe('Not here:', () => {
  let cluster: LocalCluster;
  let addresses: string[];

  beforeAll(async () => {
    cluster = await startDrillCluster({ Development: 3 });
    addresses = await cluster.addresses('Development');
    const manifest = { limits: { requestSeconds: 900 } };
    await publishVersion(cluster, { version: '8.0.0', members: holdingMembers, manifest });
    await publishVersion(cluster, { version: '8.1.0', members: holdingMembers, manifest });
    await deployed('8.0.0');
  });

  afterAll(async () => {
    await cluster.stop();
  });

  afterEach(() => waitUntilHealthy(cluster));

  const setPolicy = (strategy: StrategyName, seconds: { step: number; end: number }, more: object = {}) =>
    changePolicy(cluster, 'Development', {
      ...strategyPolicy(strategy, seconds),
      warmSeconds: 900,
      drainSeconds: 30,
      progressDeadlineSeconds: 60,
      ...more,
    });

  async function deployed(version: string): Promise<void> {
    const end = await waitForEnd(cluster, await deploy(cluster, version, 'Development'));
    expect(end.reason.message).toContain(version);
    expect(end.status).toBe('Succeeded');
  }

  async function waitForReason(id: string, code: string): Promise<Deployment> {
    return waitFor(`"${code}"`, async () => {
      const deployment = await look(cluster, id);
      return deployment?.reason.code === code ? deployment : null;
    });
  }

  /** What Development runs of the two good versions, and the other one. */
  async function versions(): Promise<{ stable: string; target: string }> {
    const [stable] = await cluster.activeVersions('Development', moduleName);
    return stable === '8.0.0' ? { stable, target: '8.1.0' } : { stable: '8.1.0', target: '8.0.0' };
  }

  /** Processes that answer for the module, node by node. */
  async function pids(): Promise<number[]> {
    const answers = addresses.map(async (address) => (await fetch(`${address}/${moduleName}/`)).json());
    return (await Promise.all(answers)).map((answer) => (answer as { pid: number }).pid);
  }

  describe('the old version retired before traffic has moved', () => {
    it.each(strategies)('by %s', async (strategy) => {
      const { stable, target } = await versions();
      // Nothing is kept warm: an old instance ends as soon as nothing needs it.
      await setPolicy(strategy, quick, { warmSeconds: 0, drainSeconds: 600 });
      const old = await pids();
      const held: HeldRequest[] = [];
      try {
        for (const address of addresses) held.push(await holdRequest(address));
        expect(held.map(({ by }) => by)).toEqual(old.map((pid) => ({ version: stable, pid })));
        const seen = await underLoad(addresses, () => deployed(target));
        expect(seen).toMatchObject(untouched);
        // Traffic has moved, all but what the old ones had in hand before: they answer that to its end, and end then.
        expect(old.filter((pid) => identifyProcess(pid) === null)).toEqual([]);
        expect(await Promise.all(held.map((request) => request.release()))).toEqual(held.map(({ by }) => by));
        await waitFor('the old processes to end', () => old.every((pid) => identifyProcess(pid) === null));
      } finally {
        for (const request of held) request.abandon();
      }
    });
  });

  describe('a stable version that has broken', () => {
    const mode = () => join(cluster.dataDirectory, 'secrets', 'development', moduleName, 'MODE');
    afterEach(() => rmSync(mode(), { force: true }));

    /** Starts only while the secret does not say otherwise, and ends when asked to. */
    const fragile = {
      version: '8.3.0',
      members: `async start(env) { if (env.MODE === 'broken') throw new Error('the payment network is away'); },
        fetch(request, env) {
          if (request.url.endsWith('/exit')) process.exit(7);
          return Response.json({ version: env.version, pid: process.pid });
        }`,
    };
    const breakStable = async () => {
      mkdirSync(join(mode(), '..'), { recursive: true });
      writeFileSync(mode(), 'broken');
      for (const address of addresses) await fetch(`${address}/${moduleName}/exit`).catch(() => null);
    };

    it('a rollback onto a broken target: a person is asked, and it goes on once the cause is gone', async () => {
      await setPolicy('Direct', quick);
      await publishVersion(cluster, fragile);
      // It fails when the node has waited for it in vain, long after the other one was broken.
      await publishVersion(cluster, { version: '8.3.1', members: 'async start() { await new Promise(() => {}); }' });
      await deployed('8.3.0');

      const id = await deploy(cluster, '8.3.1', 'Development');
      await waitForStep(cluster, id, 'Development', 1);
      await breakStable();
      await waitFor('a person to be asked', async () => {
        const deployment = await look(cluster, id);
        return deployment?.status === 'RollingBack' && deployment.reason.code === 'stable-broken';
      });
      rmSync(mode());
      expect((await waitForEnd(cluster, id)).status).toBe('RolledBack');
      expect(await cluster.activeVersions('Development', moduleName)).toEqual(['8.3.0', '8.3.0', '8.3.0']);
    });

    it('a broken stable that blocks its own fix', async () => {
      await breakStable();
      for (const address of addresses) {
        await waitFor('the module to be away', async () => (await fetch(`${address}/${moduleName}/`)).status >= 500);
      }
      await deployed('8.0.0');
    });
  });

  describe('a rollback along the slow path', () => {
    it.each(strategies)('by %s', async (strategy) => {
      const { target } = await versions();
      await setPolicy(strategy, standing);
      const before = await pids();
      const seen = await underLoad(addresses, async () => {
        const id = await deploy(cluster, target, 'Development');
        await waitForMiddle(cluster, id, 'Development', strategy);
        if (strategy === 'Rolling') {
          expect((await cluster.post(`/api/v1/deployments/${id}/promote`)).status).toBe(202);
          await waitForMiddle(cluster, id, 'Development', strategy, 1);
        }
        const touched = await inDatabase(cluster, [
          `SELECT wanted.node_id FROM hotswap.node_assignment AS wanted
             JOIN hotswap.node ON node.id = node_id
             JOIN hotswap.release AS target ON target.module = wanted.module AND target.version = $2
             WHERE node.environment = 'Development' AND wanted.module = $1 AND target.digest IN (wanted.active, wanted.candidate)`,
          [moduleName, target],
        ]);
        expect(touched).toHaveLength(strategy === 'Rolling' ? 2 : 3);
        expect((await cluster.post(`/api/v1/deployments/${id}/rollback`)).status).toBe(202);
        // Whatever its steps would take an hour for.
        expect((await waitForEnd(cluster, id, ['RolledBack'], 60)).status).toBe('RolledBack');
        const assigned = await inDatabase<{ count: number }>(cluster, [
          `SELECT jsonb_array_length(changes -> 'assign')::int AS count FROM hotswap.decision
             WHERE deployment_id = $1 AND id >= (SELECT min(id) FROM hotswap.decision WHERE deployment_id = $1 AND kind = 'roll-back')
               AND jsonb_array_length(changes -> 'assign') > 0`,
          [id],
        ]);
        expect(assigned).toEqual([{ count: touched.length }]);
      });
      expect(seen).toMatchObject(untouched);
      // The very processes that served before: nothing had to be started.
      expect(await pids()).toEqual(before);
    });
  });

  it('deadlines that never fire', async () => {
    // Its node says neither that it runs it nor that it can't.
    await publishVersion(cluster, { version: '8.2.0', members: 'async start() { await new Promise(() => {}); }' });
    await setPolicy('Direct', quick, { progressDeadlineSeconds: 10 });
    const plane = await MortalControlPlane.take(cluster, 1);
    try {
      await waitUntilHealthy(cluster);
      await plane.dieAfter(['Deploy (step 1): hold, waiting-for-nodes']);
      const seen = await underLoad(addresses, async () => {
        const end = await waitForEnd(cluster, await deploy(cluster, '8.2.0', 'Development'));
        expect(end.status).toBe('RolledBack');
        expect(end.reason.code).toBe('progress-deadline');
        expect(end.reason.data).toMatchObject({
          waiting: [expect.any(String), expect.any(String), expect.any(String)],
        });
      });
      // Nobody who began to wait was there at its end: the deadline is in the rows.
      expect(plane.deaths).toHaveLength(1);
      expect(seen).toMatchObject(untouched);
    } finally {
      await plane.end();
    }
  });

  it('a controller restart that loses or doubles a step', async () => {
    const { target } = await versions();
    await setPolicy('Canary', quick);
    const plane = await MortalControlPlane.take(cluster, 1);
    try {
      await waitUntilHealthy(cluster);
      const points = [1, 3, 3].map((nodes, step) => `Deploy (step ${step}): advance, step, ${nodes} nodes`);
      await plane.dieAfter(points);
      const seen = await underLoad(addresses, async () => {
        const id = await deploy(cluster, target, 'Development');
        expect((await waitForEnd(cluster, id)).status).toBe('Succeeded');
        const events = await cluster.get<{ items: { type: string; data: { number?: number } }[] }>(
          `/api/v1/deployments/${id}/events?limit=200`,
        );
        const steps = events.body.items.filter(({ type }) => type === 'step-advanced');
        expect(steps.map(({ data }) => data.number)).toEqual([0, 1, 2]);
      });
      expect(plane.deaths).toEqual(points);
      expect(seen).toMatchObject(untouched);
    } finally {
      await plane.end();
    }
    expect(await cluster.activeVersions('Development', moduleName)).toEqual([target, target, target]);
  });

  describe('nobody can say why it waits', () => {
    const numbers = /\d/;

    it.each([
      { strategy: 'Direct', code: 'validating', waitsFor: 'Time' },
      { strategy: 'Rolling', code: 'minimum-ready', waitsFor: 'Time' },
      { strategy: 'BlueGreen', code: 'awaiting-promotion', waitsFor: 'Person' },
      { strategy: 'Canary', code: 'baking', waitsFor: 'Time' },
    ] as const)('$strategy: $code, and paused', async ({ strategy, code, waitsFor }) => {
      const { target } = await versions();
      await setPolicy(strategy, standing, strategy === 'BlueGreen' ? { blueGreen: { autoPromote: false } } : {});
      const explain = async (id: string) =>
        (await cluster.get<Explanation>(`/api/v1/deployments/${id}/explanation`)).body;
      const seen = await underLoad(addresses, async () => {
        const id = await deploy(cluster, target, 'Development');
        const { reason } = await (waitsFor === 'Person'
          ? waitForReason(id, code)
          : waitForMiddle(cluster, id, 'Development', strategy));
        expect(reason.code).toBe(code);
        expect(reason.message).toMatch(numbers);
        const waiting = await explain(id);
        expect(waiting.now).toMatchObject({ rule: code, waitsFor });
        expect(Object.keys(waiting.now.numbers)).not.toEqual([]);
        expect(waiting.items.map(({ rule }) => rule)).toContain(code);

        // In Validate there is no rollout to pause any more.
        if (code !== 'validating') {
          expect((await cluster.post(`/api/v1/deployments/${id}/pause`)).status).toBe(202);
          await waitForReason(id, 'paused');
          expect((await explain(id)).now).toMatchObject({ rule: 'paused', waitsFor: 'Person' });
        }
        expect((await cluster.post(`/api/v1/deployments/${id}/rollback`)).status).toBe(202);
        const end = await waitForEnd(cluster, id, ['RolledBack']);
        expect(end.reason.code).toBe('rollback-requested');
      });
      expect(seen).toMatchObject(untouched);
    });

    it('for nodes that say nothing', async () => {
      await setPolicy('Canary', standing);
      const silent = [1, 2].map((number) => cluster.pid(`kernel-node-development-${number}`));
      const ids = (await cluster.nodes('Development')).filter(({ pid }) => silent.includes(pid)).map(({ id }) => id);
      const others = (await cluster.nodes('Development'))
        .filter(({ pid }) => !silent.includes(pid))
        .map(({ address }) => address);
      const seen = await underLoad(others, async () => {
        const { target } = await versions();
        const id = await deploy(cluster, target, 'Development');
        await waitForMiddle(cluster, id, 'Development', 'Canary');
        for (const pid of silent) process.kill(pid, 'SIGSTOP');
        try {
          const { reason } = await waitForReason(id, 'nodes-lost');
          expect(reason.data).toMatchObject({ lostNodesMax: 1 });
          expect((reason.data['lost'] as string[]).toSorted()).toEqual(ids.toSorted());
        } finally {
          for (const pid of silent) process.kill(pid, 'SIGCONT');
        }
        expect((await cluster.post(`/api/v1/deployments/${id}/cancel`)).status).toBe(202);
        expect((await waitForEnd(cluster, id)).status).toBe('Cancelled');
      });
      expect(seen).toMatchObject(untouched);
    });
  });
});
