import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../tools/free-port.js';
import { deploy, look, waitForEnd } from '../support/deployments.js';
import { changePolicy, underLoad, waitForVersion } from '../support/drill-cluster.js';
import { startLocalCluster, type LocalCluster } from '../support/local-cluster.js';
import { hasPrometheus, PrometheusServer } from '../support/prometheus-server.js';
import { waitFor } from '../support/wait-for.js';

if (!hasPrometheus) console.warn('Skipped: there is no prometheus on the PATH; apt-get install prometheus brings it.');

const ofModule = '{module="payment-processor"}';
const requestsPerSecond = `sum(rate(hotswap_requests_total${ofModule}[5s]))`;
const failedShare = `sum(hotswap_request_failures_total${ofModule}) / sum(hotswap_requests_total${ofModule})`;

(hasPrometheus ? describe : describe.skip)('Evidence from a Prometheus that scrapes the nodes', () => {
  let cluster: LocalCluster;
  let prometheus: PrometheusServer;

  beforeAll(async () => {
    const port = await freePort();
    const counts = ['DEVELOPMENT', 'QA', 'STAGING', 'PRODUCTION'].map((name) => [`HOTSWAP_NODES_${name}`, '1']);
    cluster = await startLocalCluster({
      env: { ...(Object.fromEntries(counts) as NodeJS.ProcessEnv), HOTSWAP_CHECK_HOSTS: `127.0.0.1:${port}` },
    });
    const targets = (await cluster.addresses('Development')).map((address) => new URL(address).host);
    prometheus = await PrometheusServer.start(port, targets);
    await changePolicy(cluster, 'Development', {
      strategy: 'Canary',
      canary: {
        scout: null,
        steps: [
          { percent: 50, minimumSeconds: 2, maximumSeconds: 2 },
          { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
        ],
        analysis: null,
      },
      validateSeconds: 1,
    });
  });
  afterAll(async () => {
    await prometheus?.stop();
    await cluster?.stop();
  });

  /** Takes 2.1.0 to Development under load, by these checks. */
  async function deployWith(checks: { name: string; query: string; url?: string; min?: number; max?: number }[]) {
    const path = '/api/v1/clusters/Development/policy';
    const { body, headers } = await cluster.get<object>(path);
    const asked = checks.map((check) => ({
      kind: 'prometheus',
      intervalSeconds: 5,
      url: prometheus.address,
      ...check,
    }));
    const { status } = await cluster.put(path, { ...body, checks: asked }, { 'if-match': headers.get('etag') ?? '' });
    expect(status).toBe(200);
    return deploy(cluster, '2.1.0', 'Development');
  }

  const whileUsersPay = async (action: () => Promise<void>) =>
    underLoad(await cluster.addresses('Development'), async () => {
      await waitFor('Prometheus to see them', async () => (await prometheus.count(`${requestsPerSecond} >= 1`)) === 1);
      await action();
    });

  it('that is bad takes the version back, and says what it measured', async () => {
    await whileUsersPay(async () => {
      const id = await deployWith([{ name: 'requests', query: `sum(hotswap_requests_total${ofModule})`, max: 0 }]);
      const deployment = await waitForEnd(cluster, id);
      expect(deployment).toMatchObject({ status: 'RolledBack' });
      expect(JSON.stringify(deployment.reason)).toMatch(/requests is \d+, wanted at most 0/);
    });
    await waitForVersion(cluster, 'Development', '2.0.0');
  });

  it('that is none, wrong, or not to be asked ends no step', async () => {
    await whileUsersPay(async () => {
      const { port } = new URL(prometheus.address);
      const id = await deployWith([
        { name: 'share', query: failedShare, max: 0.01 },
        { name: 'none', query: 'hotswap_no_such_metric', max: 1 },
        { name: 'wrong', query: 'sum(', max: 1 },
        { name: 'private', query: failedShare, url: `http://[::ffff:127.0.0.1]:${port}`, max: 1 },
        { name: 'rebound', query: failedShare, url: `http://localhost:${port}`, max: 1 },
      ]);
      const told = await waitFor('every check to be answered', async () => {
        const reason = (await look(cluster, id))?.reason;
        const isWhole = reason?.code === 'awaiting-check' && !reason.message.includes('not answered yet');
        return isWhole && !(reason.data['checks'] as string[]).includes('share') ? reason : null;
      });
      expect(told.data).toMatchObject({ checks: ['none', 'wrong', 'private', 'rebound'] });
      expect(told.message).toMatch(/none: no data/);
      expect(told.message).toMatch(/wrong: [^(]*400/);
      expect(told.message.match(/is a private address/g)).toHaveLength(2);
      expect((await cluster.post(`/api/v1/deployments/${id}/rollback`, {})).status).toBe(202);
      await waitForEnd(cluster, id, ['RolledBack']);
    });
    await waitForVersion(cluster, 'Development', '2.0.0');
  });

  it('that is good lets the version go on, and not once nobody answers any more', async () => {
    await whileUsersPay(async () => {
      const good = [
        { name: 'share', query: failedShare, max: 0.01 },
        { name: 'requests', query: requestsPerSecond, min: 1 },
      ];
      const deployment = await waitForEnd(cluster, await deployWith(good));
      expect(deployment).toMatchObject({ status: 'Succeeded' });
      await cluster.post(`/api/v1/deployments/${deployment.id}/rollback`, { scope: 'environment' });
      await waitForEnd(cluster, deployment.id, ['RolledBack']);
      await waitForVersion(cluster, 'Development', '2.0.0');
      await prometheus.stop();
      const id = await deployWith(good);
      await waitFor('the step to be held', async () => {
        const reason = (await look(cluster, id))?.reason;
        return reason?.code === 'awaiting-check' && /ECONNREFUSED/.test(reason.message);
      });
    });
  });
});
