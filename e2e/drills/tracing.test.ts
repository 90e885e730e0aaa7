import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../tools/free-port.js';
import { startLocalCluster, type Environment, type LocalCluster } from '../support/local-cluster.js';
import { printTrace, TraceCollector, type CollectedSpan } from '../support/trace-collector.js';
import { waitFor } from '../support/wait-for.js';

const fewNodes = {
  HOTSWAP_NODES_DEVELOPMENT: '1',
  HOTSWAP_NODES_QA: '1',
  HOTSWAP_NODES_STAGING: '1',
  HOTSWAP_NODES_PRODUCTION: '2',
  // Spans are sent soon, so that nothing has to end for them to arrive.
  OTEL_BSP_SCHEDULE_DELAY: '300',
};
const environments: Environment[] = ['Development', 'QA', 'Staging', 'Production'];
/** Done with the target on every node; `drain` and `retire` are done with what it replaced. */
const targetPhases = ['fetch', 'verify', 'load', 'start', 'health', 'smoke', 'activate'];
const replacedPhases = ['drain', 'retire'];

interface DeploymentBody {
  id: string;
  traceId: string;
  status: string;
}

/** The tests run in order and build on each other. */
describe('The trace of a deployment', () => {
  let collector: TraceCollector;
  let cluster: LocalCluster;
  let deployment: DeploymentBody;
  beforeAll(async () => {
    collector = await TraceCollector.start();
    cluster = await startHurriedCluster(collector.endpoint);
  });
  afterAll(async () => {
    await cluster?.stop();
    await collector?.stop();
  });

  it("shows every node's phases under the one REST call, although the control plane was killed on the way", async () => {
    const nodes = await nodesByEnvironment(cluster);
    expect(await hurry(cluster, 'QA', { minimumReadySeconds: 3600 })).toBe(true);
    deployment = await deploy(cluster);
    const { traceId, id } = deployment;
    // Nothing is decided then before a person says so: no span is lost with the process.
    const isQuiet = ({ attributes }: CollectedSpan) => attributes['hotswap.reason.code'] === 'minimum-ready';
    await waitFor("QA's minimum time", () => collector.of(traceId).some(isQuiet));
    cluster.kill('orchestrator-api');
    await waitFor(
      'QA to be promoted',
      async () => (await cluster.post(`/api/v1/deployments/${id}/promote`)).status === 202,
    );
    await waitForStatus(cluster, id, 'Succeeded');

    const missing = () => missingPhases(collector.of(traceId), nodes);
    const isWhole = () => missing().length === 0 && collector.of(traceId).some(({ name }) => name === 'deployment');
    await waitFor('every span', isWhole).catch((error: Error) => {
      throw new Error(`${error.message}\n${missing().join('\n')}\n${printTrace(collector.of(traceId))}`);
    });
    const spans = collector.of(traceId);
    process.stdout.write(`${printTrace(spans.filter(({ name }) => !name.startsWith('pg')))}\n`);

    expectOneTree(spans);
    for (const phase of spans.filter(({ service }) => service === 'kernel-node')) {
      const environment = String(phase.attributes['hotswap.environment']);
      expect(ancestry(spans, phase).slice(1)).toEqual([
        'decision advance',
        `stage Deploy ${environment}`,
        'deployment',
        'POST /api/v1/deployments',
      ]);
    }
    const stages = spans.filter(({ name }) => name.startsWith('stage '));
    expect(stages.toSorted((one, other) => one.startedAt - other.startedAt).map(({ name }) => name)).toEqual([
      'stage Verify',
      ...environments.map((environment) => `stage Deploy ${environment}`),
      'stage Validate Production',
    ]);
    expect(spans.filter(({ failed }) => failed)).toEqual([]);
  });

  it.each(['orchestrator-api', 'kernel-node-production-1'])('is named by log lines of %s', async (name) => {
    const file = join(cluster.dataDirectory, 'log', `${name}.log`);
    await waitFor(`the trace in ${file}`, () =>
      readFileSync(file, 'utf8').includes(`"traceId":"${deployment.traceId}"`),
    );
  });

  it('goes on with the way back of a finished deployment', async () => {
    const { traceId, id } = deployment;
    const { status } = await cluster.post(`/api/v1/deployments/${id}/rollback`);
    expect(status).toBe(202);
    await waitForStatus(cluster, id, 'RolledBack');
    const isBack = ({ name, attributes }: CollectedSpan) =>
      name === 'activate' &&
      attributes['hotswap.version'] === '2.0.0' &&
      attributes['hotswap.environment'] === 'Production';
    await waitFor('the way back', () => {
      const seen = collector.of(traceId);
      return seen.some(({ name }) => name === 'rollback') && seen.filter(isBack).length === 2;
    });
    const spans = collector.of(traceId);
    expectOneTree(spans);
    expect(spans.filter(({ name }) => name === 'deployment').length).toBe(1);
    for (const activate of spans.filter(isBack)) expect(ancestry(spans, activate)[2]).toBe('stage Deploy Production');
  });
});

describe('A collector that is away', () => {
  it('costs the first deployments nothing but their traces', async () => {
    const cluster = await startHurriedCluster(`http://127.0.0.1:${await freePort()}`);
    const { body } = await cluster.get<{ items: DeploymentBody[] }>('/api/v1/deployments');
    const code = await cluster.stop();
    expect(body.items.length).toBeGreaterThan(0);
    for (const deployment of body.items)
      expect(deployment).toMatchObject({ status: 'Succeeded', traceId: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(code).toBe(0);
  });
});

/** One root, no id twice, and every span's parent is there. */
function expectOneTree(spans: readonly CollectedSpan[]): void {
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === null);
  expect(roots.map(({ name }) => name)).toEqual(['POST /api/v1/deployments']);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  const adrift = spans.filter((span) => ancestry(spans, span).at(-1) !== 'POST /api/v1/deployments');
  expect(adrift).toEqual([]);
}

/** A cluster with the first releases deployed, and with shorter times than npm start's. */
async function startHurriedCluster(endpoint: string): Promise<LocalCluster> {
  const cluster = await startLocalCluster({
    env: { ...fewNodes, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
    until: 'ready',
  });
  try {
    for (const environment of environments) {
      // The launcher may write its own policy at the same time: then it is read again.
      await waitFor(`the policy of ${environment}`, () => hurry(cluster, environment));
    }
    await waitFor('the first releases', () => cluster.output.includes('Every cluster is Healthy'));
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** Nothing is kept warm, so that what was replaced is retired within the test. */
async function hurry(on: LocalCluster, environment: Environment, { minimumReadySeconds = 1 } = {}): Promise<boolean> {
  const path = `/api/v1/clusters/${environment}/policy`;
  const { headers, body } = await on.get<object>(path);
  const steps = [10, 100].map((percent) => ({ percent, minimumSeconds: 0, maximumSeconds: 1 }));
  const policy = {
    ...body,
    canary: { scout: null, steps },
    rolling: { maxUnavailable: '25%', maxSurge: '0', minimumReadySeconds },
    blueGreen: { autoPromote: true, bakeSeconds: 0 },
    warmSeconds: 1,
    drainSeconds: 1,
    validateSeconds: 1,
  };
  const { status } = await on.put(path, policy, { 'if-match': headers.get('etag') ?? '' });
  return status === 200;
}

async function nodesByEnvironment(from: LocalCluster): Promise<Map<string, string>> {
  const nodes = new Map<string, string>();
  for (const environment of environments)
    for (const { id } of await from.nodes(environment)) nodes.set(id, environment);
  return nodes;
}

async function deploy(to: LocalCluster): Promise<DeploymentBody> {
  const { status, body } = await to.post<DeploymentBody>('/api/v1/deployments', {
    moduleName: 'payment-processor',
    version: '2.1.0',
    targetEnvironment: 'Production',
    requesterEmail: 'user@example.com',
  });
  expect(status).toBe(202);
  return body;
}

async function waitForStatus(on: LocalCluster, id: string, status: string): Promise<void> {
  await waitFor(`deployment ${id} is ${status}`, async () => {
    // The control plane may be restarting: a refused connection is asked again.
    const { body } = await on.get<DeploymentBody>(`/api/v1/deployments/${id}`);
    return body.status === status;
  });
}

/** What was done with the target, and with what it replaced, is there for every node. */
function missingPhases(spans: readonly CollectedSpan[], nodes: ReadonlyMap<string, string>): string[] {
  return [...nodes].flatMap(([id, environment]) => {
    const done = (phase: string, version: string) =>
      spans.some(
        ({ name, attributes }) =>
          name === phase && attributes['hotswap.node'] === id && attributes['hotswap.version'] === version,
      );
    return [
      ...targetPhases.filter((phase) => !done(phase, '2.1.0')),
      ...replacedPhases.filter((phase) => !done(phase, '2.0.0')),
    ].map((phase) => `${phase} on ${id} in ${environment}`);
  });
}

/** Names from the span itself up to the one without a known parent. */
function ancestry(spans: readonly CollectedSpan[], span: CollectedSpan): string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [span.name, ...(parent ? ancestry(spans, parent) : span.parentSpanId ? [`lost ${span.parentSpanId}`] : [])];
}
