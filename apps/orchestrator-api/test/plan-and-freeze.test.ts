import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { ProtocolNode } from './protocol-node.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';

const module = 'payment-processor';
let database: EmptyDatabase;
let controlPlane: ControlPlane;
let url: string;
let nodes: ProtocolNode[] = [];

beforeAll(async () => {
  database = await createDatabase();
  controlPlane = await startControlPlane({ DATABASE_URL: database.url });
  ({ url } = controlPlane);
  await eventually(() => isReady(url), controlPlane.output, 90_000);
  for (const version of ['1.0.0', '2.0.0', '3.0.0']) await publish(url, await moduleArtifact(module, version));
  nodes = ['d-1', 'd-2'].map((id) => new ProtocolNode(url, id));
  await Promise.all(nodes.map((node) => node.start()));
  await changePolicy('Development', { validateSeconds: 0 });
  await changePolicy('QA', { rolling: { maxUnavailable: '1', maxSurge: '0', minimumReadySeconds: 0 } });
}, 240_000);
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await controlPlane?.end();
  await database?.remove();
});

type Body = Record<string, unknown> & {
  id: string;
  status: string;
  planRevision: string;
  items: Body[];
  gates: { stage: string | null; endsBy: string | null; reason: { code: string; message: string; data: object } }[];
  stages: Record<string, unknown>[];
  reason: { code: string; data: Record<string, unknown> };
};

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
}

const asked = (version: string, changes: object = {}) => ({
  moduleName: module,
  version,
  targetEnvironment: 'Development',
  requesterEmail: 'user@example.com',
  ...changes,
});
const plan = (version: string, changes: object = {}) =>
  call('POST', '/deployments?dryRun=true', asked(version, changes));
const deploy = (version: string, changes: object = {}) => call('POST', '/deployments', asked(version, changes));

async function changePolicy(environment: string, change: object): Promise<void> {
  const { body } = await call('GET', `/clusters/${environment}/policy`);
  const { status } = await call('PUT', `/clusters/${environment}/policy`, { ...body, ...change }, { 'if-match': '*' });
  expect(status).toBe(200);
}

async function reaches(id: string, status: string): Promise<Body> {
  let last: Body | undefined;
  await eventually(
    async () => (last = (await call('GET', `/deployments/${id}`)).body).status === status,
    () => `${id} is ${last?.status} (${JSON.stringify(last?.reason)}), not ${status}`,
  );
  return last!;
}

async function isHeld(id: string, code: string): Promise<Body> {
  let last: Body | undefined;
  await eventually(
    async () => (last = (await call('GET', `/deployments/${id}`)).body).reason.code === code,
    () => `${id} waits for ${JSON.stringify(last?.reason)}, not ${code}`,
  );
  return last!;
}

/** The environment is frozen from an hour ago for `hours`. */
async function freeze(hours: number): Promise<string> {
  const at = (hour: number) => new Date(Date.now() + hour * 3_600_000).toISOString().slice(0, 16);
  const windows = [{ from: at(-1), to: at(hours) }];
  const audit = { name: 'audit', timeZone: 'UTC', windows, runningRollouts: 'hold' };
  await changePolicy('Development', { freeze: [audit] });
  return `${windows[0]!.to}:00.000Z`;
}

describe('a plan', () => {
  it('tells the steps, writes nothing, and is the same until something changes', async () => {
    const first = await plan('1.0.0');
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({
      planRevision: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      moduleName: module,
      version: '1.0.0',
      digest: (await moduleArtifact(module, '1.0.0')).digest,
      targetEnvironment: 'Development',
      succeeds: true,
      gates: [],
      stages: [
        { name: 'Verify', environment: null, status: 'Succeeded', expectedSeconds: 0, rollout: null },
        {
          name: 'Deploy',
          environment: 'Development',
          status: 'Succeeded',
          rollout: {
            strategy: 'Direct',
            fromVersion: null,
            toVersion: '1.0.0',
            steps: [{ number: 1, of: 1, targetPercent: 100, nodes: ['d-1', 'd-2'], expectedSeconds: 2 }],
            capacity: { nodes: 2, servingMin: 0, replacingMax: 0 },
            power: null,
          },
        },
        { name: 'Validate', environment: 'Development', status: 'Succeeded' },
      ],
    });
    expect((await plan('1.0.0')).body).toEqual(first.body);
    expect((await call('GET', '/deployments')).body.items).toEqual([]);
    expect((await call('POST', '/deployments?dryRun=false', asked('9.0.0'))).status).toBe(404);
  });

  it('of what was not published is 404', async () => {
    expect((await plan('9.0.0')).body['code']).toBe('version-not-found');
    expect((await plan('1.0.0', { moduleName: 'nobody' })).body['code']).toBe('module-not-found');
  });

  it('says where it would end: no live node in QA', async () => {
    const { status, body } = await plan('1.0.0', { targetEnvironment: 'QA' });
    expect([status, body['succeeds']]).toEqual([200, false]);
    expect(body.gates).toMatchObject([
      { stage: 'Deploy', environment: 'QA', endsBy: null, reason: { code: 'no-live-nodes' } },
    ]);
    expect(body.stages.map((stage) => stage['status'])).toEqual(['Succeeded', 'Succeeded', 'Running', 'Pending']);
  });

  it('that is handed back is followed, and refused when it does not hold any more', async () => {
    const outdated = (await plan('1.0.0')).body.planRevision;
    await changePolicy('Development', { warmSeconds: 901 });
    const refused = await deploy('1.0.0', { planRevision: outdated });
    expect([refused.status, refused.body['code']]).toEqual([409, 'plan-outdated']);
    expect((await deploy('1.0.0', { planRevision: 'mine' })).body['errors']).toMatchObject([
      { pointer: '/planRevision' },
    ]);
    expect((await call('GET', '/deployments')).body.items).toEqual([]);

    // It can't be over before it is looked at: it waits for a person.
    await changePolicy('Development', { approval: { required: 1, always: true } });
    const { planRevision } = (await plan('1.0.0')).body;
    const created = await deploy('1.0.0', { planRevision });
    expect(created.status).toBe(202);
    const busy = await plan('2.0.0');
    expect(busy.body.gates).toMatchObject([
      {
        stage: null,
        endsBy: null,
        reason: { code: 'deployment-in-progress', data: { deployment: `/api/v1/deployments/${created.body.id}` } },
      },
    ]);
    await reaches(created.body.id, 'AwaitingApproval');
    await call('POST', `/deployments/${created.body.id}/approve`, { approverEmail: 'lead@example.com' });
    await reaches(created.body.id, 'Succeeded');
    await changePolicy('Development', { approval: { required: 1, always: false } });
    expect((await plan('2.0.0')).body.stages[1]).toMatchObject({
      rollout: { fromVersion: '1.0.0', capacity: { nodes: 2, servingMin: 2, replacingMax: 2 } },
    });
    expect((await plan('1.0.0')).body.stages[1]).toMatchObject({ status: 'Skipped', rollout: null });
  });
});

describe('a frozen environment', () => {
  it('holds a deployment, until someone asks for it again and breaks the glass', async () => {
    const untilAt = await freeze(5);
    expect((await plan('2.0.0')).body).toMatchObject({
      succeeds: true,
      gates: [{ stage: 'Deploy', endsBy: 'Time', reason: { code: 'frozen', data: { freezes: ['audit'], untilAt } } }],
    });
    const { id } = (await deploy('2.0.0')).body;
    const held = await isHeld(id, 'frozen');
    expect(held.reason.data).toEqual({ freezes: ['audit'], untilAt, runningRollouts: 'hold' });
    expect((await call('GET', `/deployments/${id}/explanation`)).body['now']).toMatchObject({
      rule: 'frozen',
      waitsFor: 'Time',
      untilAt,
    });
    const early = await call('POST', `/deployments/${id}/retry`);
    expect([early.status, early.body['code']]).toEqual([409, 'nothing-to-retry']);
    await call('POST', `/deployments/${id}/cancel`);
    await reaches(id, 'Cancelled');

    const breakGlass = { reason: 'INC-1: payments fail', byEmail: 'on-call@example.com' };
    expect((await plan('2.0.0', { breakGlass })).body.gates).toEqual([]);
    const again = await call('POST', `/deployments/${id}/retry`, { breakGlass, requesterEmail: 'lead@example.com' });
    expect([again.status, again.headers.get('location')]).toEqual([202, `/api/v1/deployments/${again.body.id}`]);
    expect(again.body).toMatchObject({
      moduleName: module,
      version: '2.0.0',
      targetEnvironment: 'Development',
      requesterEmail: 'lead@example.com',
      retryOf: id,
      breakGlass,
      links: { retryOf: `/api/v1/deployments/${id}` },
    });
    await reaches(again.body.id, 'Succeeded');
    const events = (await call('GET', `/deployments/${again.body.id}/events`)).body.items;
    expect(events.find(({ type }) => type === 'glass-broken')).toMatchObject({ data: breakGlass });
    const decisions = (await call('GET', `/deployments/${again.body.id}/explanation`)).body.items;
    expect(decisions.find(({ rule }) => rule === 'stage-started')).toMatchObject({
      numbers: { breakGlass, frozen: { freezes: ['audit'] } },
    });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query('SELECT deployment_id, broken_by, freezes FROM ops.broken_freezes');
    await client.end();
    expect(rows).toEqual([{ deployment_id: again.body.id, broken_by: 'on-call@example.com', freezes: ['audit'] }]);
  });

  it('never holds a rollback, and thaws when its policy says so', async () => {
    const newest = (await call('GET', '/deployments?limit=1')).body.items[0]!;
    expect((await call('POST', `/deployments/${newest.id}/rollback`)).status).toBe(202);
    await reaches(newest.id, 'RolledBack');
    const { id } = (await deploy('3.0.0')).body;
    await isHeld(id, 'frozen');
    await changePolicy('Development', { freeze: [] });
    await reaches(id, 'Succeeded');
  });
});

describe('a retry', () => {
  it('is refused of what succeeded, of nothing, and while another deployment is under way', async () => {
    const succeeded = (await call('GET', '/deployments?status=Succeeded&limit=1')).body.items[0]!;
    expect((await call('POST', `/deployments/${succeeded.id}/retry`)).body).toMatchObject({
      status: 409,
      code: 'nothing-to-retry',
    });
    const unknown = '/deployments/0193a0b0-0000-7000-8000-000000000000/retry';
    expect((await call('POST', unknown)).body['code']).toBe('deployment-not-found');
    expect((await call('POST', unknown, { version: '1.0.0' })).body['errors']).toMatchObject([{ pointer: '/version' }]);

    const back = (await call('GET', '/deployments?status=RolledBack&limit=1')).body.items[0]!;
    await freeze(5);
    const first = await call('POST', `/deployments/${back.id}/retry`);
    expect([first.status, first.body['breakGlass']]).toEqual([202, null]);
    expect((await call('POST', `/deployments/${back.id}/retry`)).body).toMatchObject({
      code: 'deployment-in-progress',
      deployment: `/api/v1/deployments/${first.body.id}`,
    });
    await call('POST', `/deployments/${first.body.id}/cancel`);
    await reaches(first.body.id, 'Cancelled');
    await changePolicy('Development', { freeze: [] });
  });
});

describe('an approval by two', () => {
  it('is asked for by the policy, shown in the plan, and given by two people', async () => {
    await changePolicy('Development', { approval: { required: 2, always: true } });
    expect((await plan('2.0.0')).body).toMatchObject({
      succeeds: true,
      stages: [{}, { name: 'Approval', environment: 'Development' }, {}, {}],
      gates: [{ stage: 'Approval', endsBy: 'Person', reason: { code: 'awaiting-approval', data: { required: 2 } } }],
    });
    const { id } = (await deploy('2.0.0')).body;
    await reaches(id, 'AwaitingApproval');
    const approve = (approverEmail: string) => call('POST', `/deployments/${id}/approve`, { approverEmail });
    expect((await approve('user@example.com')).body['code']).toBe('own-approval');
    const first = { approverEmail: 'one@example.com', reason: null, at: expect.any(String) };
    expect((await approve('one@example.com')).body).toMatchObject({
      status: 'Pending',
      requiredApprovals: 2,
      approvals: [first],
      decidedBy: null,
    });
    expect((await approve('One@example.com')).body['approvals']).toEqual([first]);
    expect((await call('GET', '/approvals?status=pending')).body.items).toMatchObject([
      { deploymentId: id, approvals: [first] },
    ]);
    expect((await approve('two@example.com')).body).toMatchObject({ status: 'Approved', decidedBy: 'two@example.com' });
    await reaches(id, 'Succeeded');
  });
});

describe('plans of many nodes', () => {
  it('are made a few at a time, and end when nobody waits for them any more', async () => {
    // Nodes enough that a plan for them, one after the other, takes far longer than this test waits.
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(`
      INSERT INTO hotswap.node (id, environment, boot_id, pid, hostname, address, kernel_version, reported_state,
        secret_hash, joined_at, last_heartbeat_at, document_epoch, document_revision)
      SELECT 'many-' || number, 'Development', 'boot', 1, 'host', 'http://127.0.0.1:1', '1.0.0', 'Ready', 'hash', now(),
        now() + interval '1 hour', 1, 1
      FROM generate_series(1, 1000) AS number`);
    await client.end();
    const rolling = { maxUnavailable: '1', maxSurge: '0', minimumReadySeconds: 0 };
    await changePolicy('Development', { strategy: 'Rolling', rolling, approval: { required: 1, always: false } });
    const leave = new AbortController();
    const ask = async () => {
      const response = await fetch(`${url}/api/v1/deployments?dryRun=true`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(asked('1.0.0')),
        signal: leave.signal,
      });
      const { code } = (await response.json()) as { code?: string };
      return [response.status, code, response.headers.get('retry-after')];
    };
    const plans = Array.from({ length: 5 }, ask);
    for (const each of plans) each.catch(() => undefined);
    expect(await Promise.race(plans)).toEqual([503, 'deadline-exceeded', '5']);
    leave.abort();
    await call('POST', `/modules/${module}/versions/3.0.0/withdraw`, { reason: 'a plan of it is refused at once' });
    // Well before their own deadline would have ended them.
    await eventually(
      async () => (await plan('3.0.0')).status === 200,
      () => 'room for another plan',
      20_000,
    );
  });
});
