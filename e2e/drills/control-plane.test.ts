import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../tools/free-port.js';
import { isReady } from '../../tools/is-ready.js';
import { inDatabase } from '../support/database.js';
import { deploy, look, stageOf, waitForEnd, type Deployment } from '../support/deployments.js';
import {
  deployToCanaryShare,
  letCanaryGoOn,
  startDrillCluster,
  underLoad,
  untouched,
  waitForVersion,
  waitUntilHealthy,
} from '../support/drill-cluster.js';
import { type Environment, type LocalCluster } from '../support/local-cluster.js';
import { MortalControlPlane } from '../support/mortal-control-plane.js';
import { RecipeProcess, recipeOf } from '../support/process-recipe.js';
import { publishVersion } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';

interface DeploymentEvent {
  type: string;
  stage: string | null;
  environment: string | null;
  data: { number?: number };
}

/** The tests build on each other; each leaves the cluster Healthy. */
describe('The orchestrator', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    cluster = await startDrillCluster({ QA: 2, Production: 2 });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  afterEach(() => waitUntilHealthy(cluster));

  it('killed in every kind of stage goes on where it was', async () => {
    const seen = await underLoad(await cluster.addresses('Production'), async () => {
      const plane = await MortalControlPlane.take(cluster, 1);
      try {
        const id = await deploy(cluster, '2.1.0', 'Production', { requireApproval: true });
        await plane.kill();
        for (const environment of ['Development', 'QA', 'Staging', 'Production'] as const) {
          if (environment === 'Staging' || environment === 'Production') {
            await waitForEnd(cluster, id, ['AwaitingApproval']);
            if (environment === 'Staging') await plane.kill();
            const { status } = await waitFor('an answer', () => look(cluster, id));
            expect(status).toBe('AwaitingApproval');
            await inDatabase(cluster, ...approve(id, environment));
          }
          await waitForDeploy(id, environment);
          await plane.kill();
        }
        await waitFor('Validate', async () =>
          (await look(cluster, id))?.stages.some(({ name, status }) => name === 'Validate' && status !== 'Pending'),
        );
        await plane.kill();
        expect((await waitForEnd(cluster, id)).status).toBe('Succeeded');

        expect((await cluster.post(`/api/v1/deployments/${id}/rollback`, { scope: 'all' })).status).toBe(202);
        await plane.kill();
        expect((await waitForEnd(cluster, id, ['RolledBack'])).status).toBe('RolledBack');
      } finally {
        await plane.end();
      }
    });
    expect(seen).toMatchObject(untouched);
    for (const environment of ['Development', 'QA', 'Staging', 'Production'] as const) {
      await waitForVersion(cluster, environment, '2.0.0');
    }
  });

  it('and a second one at once do everything once', async () => {
    const port = await freePort();
    const second = new RecipeProcess(recipeOf(cluster, 'orchestrator-api'), { PORT: String(port) });
    const there = `http://127.0.0.1:${port}`;
    await publishVersion(cluster, { version: '5.0.0' });
    try {
      await waitFor('the second to be ready', () => isReady(there));
      const seen = await underLoad(await cluster.addresses('Production'), async () => {
        const id = await deploy(cluster, '5.0.0', 'Production');
        const told = await fetch(`${there}/api/v1/deployments/${id}`);
        expect(((await told.json()) as Deployment).id).toBe(id);
        const deployment = await waitForEnd(cluster, id);
        expect(deployment.status).toBe('Succeeded');

        const events = await cluster.get<{ items: DeploymentEvent[] }>(`/api/v1/deployments/${id}/events?limit=200`);
        const steps = events.body.items
          .filter(({ type }) => type === 'step-advanced' || type === 'stage-started')
          .map(({ type, stage, environment, data }) => `${type} ${stage} ${environment} ${data.number ?? ''}`);
        expect(steps.length).toBeGreaterThan(8);
        expect(new Set(steps).size).toBe(steps.length);
      });
      expect(seen).toMatchObject(untouched);
    } finally {
      await second.end('SIGTERM');
    }
    expect(second.exitCode).toBe(0);
  });

  it('away for ten minutes in the middle of a rollout takes nothing back', async () => {
    await publishVersion(cluster, { version: '5.1.0' });
    const seen = await underLoad(await cluster.addresses('Production'), async () => {
      const id = await deployToCanaryShare(cluster, '5.1.0');
      cluster.holdLauncher();
      const orchestrator = cluster.pid('orchestrator-api');
      cluster.kill('orchestrator-api');
      try {
        await waitFor('its last words to be written', async () => {
          const sessions = await inDatabase(
            cluster,
            `SELECT FROM pg_stat_activity WHERE application_name LIKE 'hotswap%' AND pid <> pg_backend_pid()`,
          );
          return sessions.length === 0;
        });
        await inDatabase(cluster, ...tenMinutesAgo);
      } finally {
        cluster.letLauncherGo();
      }
      await waitFor('the launcher to start it again', () => cluster.pid('orchestrator-api') !== orchestrator);
      await waitFor('it to be ready', async () => (await cluster.get('/health/ready')).status === 200);
      await letCanaryGoOn(cluster);
      const deployment = await waitForEnd(cluster, id);
      expect(deployment.reason.code).toBe('succeeded');
      expect(deployment.status).toBe('Succeeded');
    });
    expect(seen).toMatchObject(untouched);
    const gaps = await inDatabase(
      cluster,
      `SELECT FROM hotswap.listening_gap WHERE to_at - from_at > interval '10 minutes'`,
    );
    expect(gaps).toHaveLength(1);
    await waitForVersion(cluster, 'Production', '5.1.0');
  });

  async function waitForDeploy(id: string, environment: Environment): Promise<void> {
    await waitFor(
      `${environment} to be in hand`,
      async () => {
        const deployment = await look(cluster, id);
        const status = deployment && stageOf(deployment, environment)?.status;
        return status === 'Running' || status === 'Succeeded';
      },
      { deadlineSeconds: 90, pollMilliseconds: 20 },
    );
  }
});

/** What a person's approval leaves in the database. */
function approve(id: string, environment: Environment): [string, unknown[]][] {
  const verdict = JSON.stringify({ verdict: { approved: true, by: 'another@example.com', reason: null } });
  // In the order of the orchestrator's own writes, so that they never wait for each other.
  return [
    ['UPDATE hotswap.deployment SET next_look_at = now(), revision = revision + 1 WHERE id = $1', [id]],
    [
      `UPDATE hotswap.deployment_stage SET approval = approval || $3
       WHERE deployment_id = $1 AND environment = $2 AND name = 'Approval'`,
      [id, environment, verdict],
    ],
  ];
}

/** Everything that happened moves back: as if the orchestrator had been away for so long. */
const tenMinutesAgo = [
  `UPDATE hotswap.control_plane_beat SET at = at - interval '10 minutes'`,
  `UPDATE hotswap.listening_gap SET from_at = from_at - interval '10 minutes', to_at = to_at - interval '10 minutes'`,
  `UPDATE hotswap.node SET last_heartbeat_at = last_heartbeat_at - interval '10 minutes',
     joined_at = joined_at - interval '10 minutes'`,
  `UPDATE hotswap.node_observation SET since = since - interval '10 minutes'`,
  `UPDATE hotswap.traffic_sample SET at = at - interval '10 minutes'`,
  `UPDATE hotswap.deployment SET created_at = created_at - interval '10 minutes',
     started_at = started_at - interval '10 minutes', next_look_at = next_look_at - interval '10 minutes'
   WHERE finished_at IS NULL`,
  `UPDATE hotswap.deployment_stage SET
     started_at = started_at - interval '10 minutes',
     progress = progress || jsonb_build_object(
       'stepStartedAt', (progress ->> 'stepStartedAt')::bigint - 600000,
       'exposedAt', (progress ->> 'exposedAt')::bigint - 600000)
   WHERE finished_at IS NULL AND progress IS NOT NULL`,
];
