import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { callsOf } from './call.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';
import { TestNode } from './start-node.js';

const name = 'payment-processor';
/** Answers with its `env`. */
const showsEnv = 'export default { fetch: (request, env) => Response.json(env) };';

let database: EmptyDatabase;
let controlPlane: ControlPlane;
let call: ReturnType<typeof callsOf>;
const nodes: TestNode[] = [];

beforeAll(async () => {
  database = await createDatabase();
  controlPlane = await startControlPlane({ DATABASE_URL: database.url });
  const { url } = controlPlane;
  await eventually(() => isReady(url), controlPlane.output);
  call = callsOf(url);
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0'])
    expect(await publish(url, await moduleArtifact(name, version, '', showsEnv))).toMatchObject({ status: 201 });
  await changePolicy({ validateSeconds: 0.5, warmSeconds: 1 });
  // Long enough for a balancer to notice, also on a machine that is busy.
  const variables = { HOTSWAP_LAME_DUCK_SECONDS: '8' };
  for (let count = 0; count < 2; count++) nodes.push(await TestNode.start(url, 'Development', variables));
  // One that joins after a deployment has begun is no part of it.
  await isHealthy({ total: 2, healthy: 2 });
  expect(await deployToTheEnd('1.0.0')).toMatchObject({ status: 'Succeeded' });
}, 400_000);
afterAll(async () => {
  for (const node of nodes) await node.remove();
  await controlPlane?.end();
  await database?.remove();
});

async function changePolicy(change: object): Promise<void> {
  const path = '/api/v1/clusters/Development/policy';
  const { body } = await call('GET', path);
  expect((await call('PUT', path, { ...body, ...change }, { 'if-match': '*' })).status).toBe(200);
}

async function deploy(version: string) {
  const targetEnvironment = 'Development';
  const wish = { moduleName: name, version, targetEnvironment, requesterEmail: 'user@example.com' };
  return call('POST', '/api/v1/deployments', wish);
}

async function waitForEnd(id: string) {
  let last = await call('GET', `/api/v1/deployments/${id}`);
  await eventually(
    async () => {
      last = await call('GET', `/api/v1/deployments/${id}`);
      return last.body['finishedAt'] !== null;
    },
    () => `the end of ${last.text}`,
  );
  return last.body;
}

async function deployToTheEnd(version: string) {
  const { status, body } = await deploy(version);
  expect([status, body]).toEqual([202, expect.objectContaining({ version })]);
  return waitForEnd(body.id);
}

/** What each node's module finds in `env`. */
async function envs(): Promise<Record<string, unknown>[]> {
  const answers = await Promise.all(nodes.map(({ address }) => fetch(`${address}/${name}/`)));
  return Promise.all(answers.map(async (answer) => (await answer.json()) as Record<string, unknown>));
}

const cluster = async () => (await call('GET', '/api/v1/clusters/Development')).body;
async function isHealthy(nodeCounts: { total: number; healthy: number }) {
  let last = await cluster();
  await eventually(
    async () => {
      last = await cluster();
      const { total, healthy } = last['nodeCounts'] as typeof nodeCounts;
      return last['status'] === 'Healthy' && total === nodeCounts.total && healthy === nodeCounts.healthy;
    },
    () => `the cluster Healthy: ${JSON.stringify(last)}`,
  );
  return last;
}
const stateOf = async ({ id }: TestNode) => (await call('GET', `/api/v1/nodes/${id}`)).body['state'];
const readiness = async ({ address }: TestNode) => (await fetch(`${address}/health/ready`)).status;

/** Asks for the module on kept-alive connections, as a balancer's, until stopped; answers what did not go right. */
function load(node: TestNode): { count: () => number; stop: () => Promise<string[]> } {
  const agent = new Agent({ keepAlive: true });
  const problems: string[] = [];
  let count = 0;
  let isStopped = false;
  const ask = () =>
    new Promise<void>((resolve) => {
      const fail = (error: Error) => resolve(void problems.push(error.message));
      request(`${node.address}/${name}/`, { agent }, (response) => {
        if (response.statusCode !== 200) problems.push(String(response.statusCode));
        count++;
        response.on('error', fail).on('end', resolve).resume();
      })
        .on('error', fail)
        .end();
    });
  const clients = Array.from({ length: 4 }, async () => {
    while (!isStopped) {
      await ask();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  const stop = async () => {
    isStopped = true;
    await Promise.all(clients);
    agent.destroy();
    return problems;
  };
  return { count: () => count, stop };
}

describe('the configuration of a module', () => {
  const path = `/api/v1/modules/${name}/configuration/Development`;

  it('is empty until it is set, and replaced only as it was read', async () => {
    const before = await call('GET', path.replace('Development', 'dEVELOPMENT'));
    expect([before.status, before.body, before.headers.get('etag')]).toEqual([200, {}, '"0"']);
    expect((await call('PUT', path, { currency: 'EUR' })).body).toMatchObject({ code: 'precondition-required' });
    const values = { currency: 'EUR', limits: { retries: 3, hosts: ['a', null] } };
    const set = await call('PUT', path, values, { 'if-match': before.headers.get('etag')! });
    expect([set.status, set.body, set.headers.get('etag')]).toEqual([200, values, '"1"']);
    expect(await call('GET', path)).toMatchObject({ status: 200, body: values });
    const stale = await call('PUT', path, {}, { 'if-match': '"0"' });
    expect([stale.status, stale.body['code']]).toEqual([412, 'precondition-failed']);
    const same = await call('PUT', path, values, { 'if-match': '"1"' });
    expect([same.status, same.headers.get('etag')]).toEqual([200, '"1"']);
    expect((await call('GET', path.replace('Development', 'QA'))).body).toEqual({});
  });

  it('reaches the module by the next deployment, also of the version that runs, and goes back with it', async () => {
    expect(await envs()).toEqual(nodes.map(() => expect.not.objectContaining({ currency: 'EUR' })));
    const again = await deployToTheEnd('1.0.0');
    expect([again['status'], again.stages[1]]).toEqual([
      'Succeeded',
      expect.objectContaining({ status: 'Succeeded', fromVersion: '1.0.0', toVersion: '1.0.0' }),
    ]);
    expect(await envs()).toEqual(
      nodes.map(({ id }) =>
        expect.objectContaining({ currency: 'EUR', environment: 'Development', version: '1.0.0', node: id }),
      ),
    );
    const third = await deployToTheEnd('1.0.0');
    expect(third.stages[1]).toMatchObject({ status: 'Skipped', reason: { code: 'already-running' } });
    expect((await call('POST', `/api/v1/deployments/${again.id}/rollback`)).status).toBe(202);
    expect(await waitForEnd(again.id)).toMatchObject({ status: 'RolledBack' });
    expect(await envs()).toEqual(nodes.map(() => expect.not.objectContaining({ currency: 'EUR' })));
  }, 300_000);

  it('is refused where it would not fit, or would not be seen', async () => {
    const put = async (values: unknown) => call('PUT', path, values, { 'if-match': '*' });
    for (const reserved of ['environment', 'module', 'version', 'node']) {
      const { status, body } = await put({ [reserved]: 'mine' });
      expect([status, body.errors?.[0]?.pointer]).toEqual([400, `/${reserved}`]);
    }
    expect((await put([])).body).toMatchObject({ status: 400, code: 'validation-failed' });
    expect((await put(null)).body).toMatchObject({ status: 400, code: 'validation-failed' });
    expect((await put({ '': 1 })).body).toMatchObject({ status: 400, code: 'validation-failed' });
    const nested = Array.from({ length: 16 }).reduce<object>((inner) => ({ a: inner }), {});
    expect((await put(nested)).body).toMatchObject({ status: 400, code: 'validation-failed' });
    expect((await put({ text: 'x'.repeat(64 * 1024) })).body).toMatchObject({ status: 413, code: 'too-large' });
    const many = Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`name${index}`, index]));
    expect((await put(many)).body).toMatchObject({ status: 400, code: 'validation-failed' });
    const infinite = await fetch(controlPlane.url + path, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': '*' },
      body: '{"big":[1e999]}',
    });
    expect(await infinite.json()).toMatchObject({ status: 400, errors: [{ pointer: '/big/0' }] });
    const unknown = await call('GET', '/api/v1/modules/nobody/configuration/QA');
    expect([unknown.status, unknown.body['code']]).toEqual([404, 'module-not-found']);
    const nowhere = await call('PUT', `/api/v1/modules/${name}/configuration/Moon`, {}, { 'if-match': '*' });
    expect([nowhere.status, nowhere.body['code']]).toEqual([404, 'environment-not-found']);
    expect((await call('GET', path)).headers.get('etag')).toBe('"1"');
  });
});

describe('a withdrawn version', () => {
  const path = `/api/v1/modules/${name}/versions/1.3.0`;

  it('takes no new deployment, and says since when and why', async () => {
    expect((await call('GET', path)).body).not.toHaveProperty('withdrawnAt');
    const noReason = await call('POST', `${path}/withdraw`, {});
    expect([noReason.status, noReason.body.errors?.[0]?.pointer]).toEqual([400, '/reason']);
    const withdrawn = await call('POST', `${path}/withdraw`, { reason: 'Rounds amounts in JPY' });
    expect(withdrawn).toMatchObject({
      status: 200,
      body: { version: '1.3.0', withdrawnAt: expect.any(String), withdrawalReason: 'Rounds amounts in JPY' },
    });
    const again = await call('POST', `${path}/withdraw`, { reason: 'Another reason' });
    expect([again.status, again.body]).toEqual([200, withdrawn.body]);
    expect((await call('GET', path)).body).toEqual(withdrawn.body);
    expect((await call('GET', `/api/v1/modules/${name}`)).body).toMatchObject({
      versions: ['1.3.0', '1.2.0', '1.1.0', '1.0.0'],
      withdrawnVersions: ['1.3.0'],
    });
    const refused = await deploy('1.3.0');
    expect([refused.status, refused.body['code']]).toEqual([409, 'version-withdrawn']);
    for (const [where, code] of [
      [`/api/v1/modules/${name}/versions/9.9.9/withdraw`, 'version-not-found'],
      ['/api/v1/modules/nobody/versions/1.0.0/withdraw', 'module-not-found'],
    ] as const)
      expect((await call('POST', where, { reason: 'x' })).body).toMatchObject({ status: 404, code });
  });
});

describe('a node that is drained', () => {
  it('leaves its traffic without a failed request and stays, left out by rollouts, until it is started again', async () => {
    const [drained, other] = nodes as [TestNode, TestNode];
    const traffic = load(drained);
    await eventually(
      async () => traffic.count() > 100,
      () => 'traffic',
    );
    const told = await call('POST', `/api/v1/nodes/${drained.id}/drain`);
    expect(told).toMatchObject({ status: 202, body: { id: drained.id, environment: 'Development' } });
    await eventually(
      async () => (await readiness(drained)) === 503,
      () => 'readiness to fail',
    );
    const seen = traffic.count();
    await eventually(
      async () => (await stateOf(drained)) === 'Draining',
      () => drained.output,
    );
    await eventually(
      async () => drained.output.includes('the node is LameDuck'),
      () => drained.output,
    );
    expect((await call('POST', `/api/v1/nodes/${drained.id}/drain`)).status).toBe(202);
    // Whoever was slow to notice is served on, each time on a new connection.
    await eventually(
      async () => traffic.count() > seen + 100,
      () => 'more answers',
    );
    expect(await traffic.stop()).toEqual([]);
    const last = await fetch(`${drained.address}/${name}/`);
    expect([last.status, last.headers.get('connection')]).toEqual([200, 'close']);

    expect(await deployToTheEnd('1.1.0')).toMatchObject({
      status: 'Succeeded',
      stages: [{}, { nodes: { total: 2, updated: expect.any(Number) } }, {}],
    });
    expect((await envs())[1]).toMatchObject({ version: '1.1.0', node: other.id });
    expect(await stateOf(drained)).toBe('Draining');

    expect(await drained.end()).toBe(0);
    await eventually(
      async () => (await stateOf(drained)) === 'Gone',
      () => 'Gone, not Lost',
    );
    drained.launch();
    await eventually(
      async () => (await stateOf(drained)) === 'Ready' && (await readiness(drained)) === 200,
      () => drained.output,
    );
    await isHealthy({ total: 2, healthy: 2 });
    expect((await envs())[0]).toMatchObject({ version: '1.1.0' });
  }, 300_000);
});

describe('a module that is taken off', () => {
  it('is refused while a deployment holds it, then leaves the nodes; there is no way back but a deployment', async () => {
    const path = `/api/v1/clusters/development/modules/${name}`;
    // It can't be over before it is asked for the module: it waits for a person.
    await changePolicy({ approval: { required: 1, always: true } });
    const brought = await deploy('1.2.0');
    const busy = await call('DELETE', path);
    expect([busy.status, busy.body['code'], busy.body['deployment']]).toEqual([
      409,
      'deployment-in-progress',
      `/api/v1/deployments/${brought.body.id}`,
    ]);
    const approver = { approverEmail: 'lead@example.com' };
    await eventually(
      async () => (await call('POST', `/api/v1/deployments/${brought.body.id}/approve`, approver)).status === 202,
      () => 'to be asked for an approval',
    );
    expect(await waitForEnd(brought.body.id)).toMatchObject({ status: 'Succeeded' });
    await changePolicy({ approval: { required: 1, always: false } });

    const removed = await call('DELETE', path);
    expect([removed.status, removed.body['environment'], removed.body.modules]).toEqual([202, 'Development', []]);
    await eventually(
      async () => (await cluster()).nodes.every((node) => node.modules.length === 0),
      () => 'nodes without the module',
    );
    for (const { address } of nodes) {
      const answer = await fetch(`${address}/${name}/`);
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([404, 'no-such-route']);
    }
    expect((await isHealthy({ total: 2, healthy: 2 })).modules).toEqual([]);
    expect((await call('GET', `/api/v1/modules/${name}`)).body['environments']).toEqual({});
    const again = await call('DELETE', path);
    expect([again.status, again.body['code']]).toEqual([404, 'module-not-found']);
    const back = await call('POST', `/api/v1/deployments/${brought.body.id}/rollback`);
    expect([back.status, back.body['code']]).toEqual([409, 'not-current']);

    const anew = await deployToTheEnd('1.1.0');
    expect(anew).toMatchObject({ status: 'Succeeded' });
    expect(await envs()).toEqual(nodes.map(() => expect.objectContaining({ version: '1.1.0' })));
    await call('POST', `/api/v1/deployments/${anew.id}/rollback`);
    expect(await waitForEnd(anew.id)).toMatchObject({ status: 'RolledBack' });
    expect((await fetch(`${nodes[0]!.address}/${name}/`)).status).toBe(404);
    expect(await deployToTheEnd('1.1.0')).toMatchObject({ status: 'Succeeded' });
  }, 300_000);
});

describe('a node that is decommissioned', () => {
  it('leaves its traffic without a failed request, ends with 0, and does not come back', async () => {
    const [gone, stays] = nodes as [TestNode, TestNode];
    const { id } = gone;
    const traffic = load(gone);
    await eventually(
      async () => traffic.count() > 100,
      () => 'traffic',
    );
    const told = await call('DELETE', `/api/v1/nodes/${id}`);
    expect(told).toMatchObject({ status: 202, body: { id, state: 'Ready' } });
    await eventually(
      async () => (await readiness(gone)) === 503,
      () => 'readiness to fail',
    );
    // A balancer has noticed now.
    expect(await traffic.stop()).toEqual([]);
    expect((await call('GET', `/api/v1/nodes/${id}`)).body).toMatchObject({ status: 404, code: 'node-not-found' });
    expect((await cluster()).nodes.map((node) => node.id)).toEqual([stays.id]);
    expect(await gone.exitCode).toBe(0);
    gone.launch();
    expect(await gone.exitCode).toBe(0);
    expect(gone.output).toContain('was decommissioned at');
    await isHealthy({ total: 1, healthy: 1 });
    for (const [method, path] of [
      ['DELETE', `/api/v1/nodes/${id}`],
      ['POST', `/api/v1/nodes/${id}/drain`],
      ['DELETE', '/api/v1/nodes/nobody'],
    ] as const)
      expect((await call(method, path)).body).toMatchObject({ status: 404, code: 'node-not-found' });
  }, 300_000);
});
