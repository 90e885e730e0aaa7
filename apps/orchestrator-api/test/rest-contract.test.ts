import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { signArtifact } from '@hotswap/module-kit';
import pg from 'pg';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, otherKey, startControlPlane, trustedKey, type ControlPlane } from './start-control-plane.js';

const unknownId = '0193a0b0-0000-7000-8000-000000000000';
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let database: EmptyDatabase;
let controlPlane: ControlPlane;
let url: string;

beforeAll(async () => {
  database = await createDatabase();
  controlPlane = await startControlPlane({ DATABASE_URL: database.url });
  ({ url } = controlPlane);
  await eventually(
    () => isReady(url),
    () => `ready: ${controlPlane.output()}`,
  );
}, 120_000);
afterAll(async () => {
  await controlPlane?.end();
  await database?.remove();
});

/** What the calls below look at of their answers. */
type Body = Record<string, unknown> & {
  id: string;
  items: Body[];
  stages: Body[];
  errors?: { pointer: string }[];
};

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : {}) as Body };
}

const asked = (changes: object = {}) => ({
  moduleName: 'payment-processor',
  version: '1.0.0',
  targetEnvironment: 'Development',
  requesterEmail: 'user@example.com',
  ...changes,
});

describe('publishing', () => {
  it('answers 201, then 200 for the same bytes, and shows what was published', async () => {
    const artifact = await moduleArtifact('payment-processor', '1.0.0');
    const first = await publish(url, artifact);
    expect([first.status, first.headers.get('location')]).toEqual([
      201,
      '/api/v1/modules/payment-processor/versions/1.0.0',
    ]);
    expect(first.body).toEqual({
      name: 'payment-processor',
      version: '1.0.0',
      digest: artifact.digest,
      sizeBytes: artifact.bytes.length,
      signers: ['payments-team'],
      publishedAt: expect.stringMatching(instant),
      manifest: expect.objectContaining({ entry: 'dist/module.js' }),
    });
    expect(await publish(url, artifact)).toMatchObject({ status: 200, body: first.body });
    expect((await call('GET', first.headers.get('location')!)).body).toEqual(first.body);
    expect((await call('GET', '/api/v1/modules/payment-processor')).body).toMatchObject({
      name: 'payment-processor',
      versions: ['1.0.0'],
      environments: {},
    });
    expect((await call('GET', '/api/v1/modules')).body).toMatchObject({
      items: [{ name: 'payment-processor' }],
      nextCursor: null,
    });
  });

  it('serves the bytes by their digest, for ever', async () => {
    const { bytes, digest } = await moduleArtifact('payment-processor', '1.0.0');
    const response = await fetch(`${url}/api/v1/artifacts/${digest}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    expect(response.headers.get('content-type')).toBe('application/gzip');
    expect(response.headers.get('cache-control')).toContain('immutable');
    const tag = response.headers.get('etag')!;
    expect((await call('GET', `/api/v1/artifacts/${digest}`, undefined, { 'if-none-match': tag })).status).toBe(304);
    const unknown = await call('GET', `/api/v1/artifacts/sha256:${'0'.repeat(64)}`);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'artifact-not-found']);
  });

  it('refuses other bytes for a published version', async () => {
    const { status, body } = await publish(url, await moduleArtifact('payment-processor', '1.0.0', '// changed'));
    expect([status, body['code']]).toEqual([409, 'version-exists']);
  });

  it('refuses what is not signed, signed by a stranger, and no module', async () => {
    const artifact = await moduleArtifact('payment-processor', '9.0.0');
    expect((await publish(url, artifact, null)).body).toMatchObject({ status: 422, code: 'signature-missing' });
    expect((await publish(url, artifact, otherKey)).body).toMatchObject({ status: 422, code: 'untrusted-signer' });
    const other = { ...artifact, digest: `sha256:${'1'.repeat(64)}` };
    expect((await publish(url, other)).body).toMatchObject({ status: 422, code: 'signature-invalid' });
    const nonsense = { ...artifact, bytes: Buffer.from('nonsense') };
    expect((await publish(url, nonsense)).body).toMatchObject({ status: 422, code: 'artifact-invalid' });
  });

  it('refuses a signature by a key that is trusted for another module only', async () => {
    const { status, body } = await publish(url, await moduleArtifact('orders', '1.0.0'));
    expect([status, body['code']]).toEqual([422, 'untrusted-signer']);
    expect(body['detail']).toContain('no rule of the trust file is about orders in Production');
    expect((await fetch(`${url}/api/v1/modules/orders`)).status).toBe(404);
  });

  it('keeps one bundle of each key that counts, however often it is published', async () => {
    const artifact = await moduleArtifact('payment-signed', '1.0.0');
    const signed = signArtifact(artifact, trustedKey.privateKeyPem, trustedKey.id);
    const strange = signArtifact(artifact, otherKey.privateKeyPem, otherKey.id);
    for (let note = 0; note < 3; note += 1) {
      const form = new FormData();
      form.append('artifact', new Blob([new Uint8Array(artifact.bytes)]), artifact.fileName);
      for (const bundle of [strange, signed]) form.append('bundle', JSON.stringify({ ...bundle, note }));
      const response = await fetch(`${url}/api/v1/modules`, { method: 'POST', body: form });
      expect([response.status, await response.json()]).toEqual([
        note === 0 ? 201 : 200,
        expect.objectContaining({ signers: [trustedKey.id] }),
      ]);
    }
    const client = new pg.Client(database.url);
    await client.connect();
    const { rows } = await client
      .query('SELECT bundle FROM hotswap.signature_bundle WHERE artifact = $1', [artifact.digest])
      .finally(() => client.end());
    expect(rows).toEqual([{ bundle: { ...JSON.parse(JSON.stringify(signed)), note: 2 } }]);
  });

  it('refuses forms that are not right', async () => {
    const send = async (fill: (form: FormData) => void) => {
      const form = new FormData();
      fill(form);
      const response = await fetch(`${url}/api/v1/modules`, { method: 'POST', body: form });
      return (await response.json()) as { status: number; code: string };
    };
    const some = new Blob(['x']);
    expect(await send((form) => form.append('bundle', '{}'))).toMatchObject({ status: 400, code: 'validation-failed' });
    expect(await send((form) => form.append('other', '{}'))).toMatchObject({ status: 400, code: 'validation-failed' });
    const twice = (form: FormData) => ['artifact', 'artifact'].forEach((name) => form.append(name, some, 'a.tgz'));
    expect(await send(twice)).toMatchObject({ status: 400, code: 'validation-failed' });
    const badBundle = (form: FormData) => {
      form.append('artifact', some, 'a.tgz');
      form.append('bundle', 'nonsense');
    };
    expect(await send(badBundle)).toMatchObject({ status: 422, code: 'signature-invalid' });
    const big = new Blob([new Uint8Array(10 * 1024 * 1024 + 1)]);
    expect(await send((form) => form.append('artifact', big, 'a.tgz'))).toMatchObject({
      status: 413,
      code: 'too-large',
    });
    const many = (form: FormData) => Array.from({ length: 20 }, () => form.append('bundle', '{}'));
    expect(await send(many)).toMatchObject({ status: 413, code: 'too-large' });
    const response = await fetch(`${url}/api/v1/modules`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: '--b\r\ncontent-disposition: form-data; name="artifact"; filename="a"\r\n\r\ncut off',
    });
    expect(await response.json()).toMatchObject({ status: 400, code: 'malformed-multipart' });
  });

  it('does not know what was not published', async () => {
    expect((await call('GET', '/api/v1/modules/nobody')).body.code).toBe('module-not-found');
    expect((await call('GET', '/api/v1/modules/nobody/versions/1.0.0')).body.code).toBe('module-not-found');
    expect((await call('GET', '/api/v1/modules/payment-processor/versions/7.0.0')).body.code).toBe('version-not-found');
    expect((await call('GET', '/api/v1/modules/payment-processor/versions/latest')).body.code).toBe(
      'version-not-found',
    );
  });
});

describe('deploying', () => {
  it('answers 202 with the deployment, and keeps to it for a repeated key', async () => {
    const headers = { 'idempotency-key': 'first-1' };
    const body = asked({ targetEnvironment: 'dEVELOPMENT', metadata: { ticket: 'PAY-1' }, description: 'Ünïcode ✓' });
    const created = await call('POST', '/api/v1/deployments', body, headers);
    expect(created.status).toBe(202);
    const { id } = created.body;
    const self = `/api/v1/deployments/${id}`;
    expect(created.headers.get('location')).toBe(self);
    expect(created.body).toMatchObject({
      moduleName: 'payment-processor',
      version: '1.0.0',
      digest: (await moduleArtifact('payment-processor', '1.0.0')).digest,
      targetEnvironment: 'Development',
      requesterEmail: 'user@example.com',
      description: 'Ünïcode ✓',
      metadata: { ticket: 'PAY-1' },
      requireApproval: false,
      progressPercent: expect.any(Number),
      reason: { code: expect.any(String), message: expect.any(String), data: expect.any(Object) },
      createdAt: expect.stringMatching(instant),
      finishedAt: null,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      links: {
        self,
        events: `${self}/events`,
        rollback: `${self}/rollback`,
        cluster: '/api/v1/clusters/Development',
      },
    });
    expect(created.body.stages.map(({ name }) => name)).toEqual(['Verify', 'Deploy', 'Validate']);
    expect(created.body.stages[1]).toMatchObject({ environment: 'Development', toVersion: '1.0.0' });

    const repeated = await call('POST', '/api/v1/deployments', body, headers);
    expect([repeated.status, repeated.body.id]).toEqual([202, id]);
    const reused = await call('POST', '/api/v1/deployments', { ...body, description: 'else' }, headers);
    expect([reused.status, reused.body.code]).toEqual([422, 'idempotency-key-reused']);
    const conflict = await call('POST', '/api/v1/deployments', asked());
    expect([conflict.status, conflict.body.code, conflict.body.deployment]).toEqual([
      409,
      'deployment-in-progress',
      self,
    ]);
  });

  it('finds nothing that was not published', async () => {
    expect(await call('POST', '/api/v1/deployments', asked({ moduleName: 'nobody' }))).toMatchObject({
      status: 404,
      body: { code: 'module-not-found' },
    });
    expect(await call('POST', '/api/v1/deployments', asked({ version: '7.0.0' }))).toMatchObject({
      status: 404,
      body: { code: 'version-not-found' },
    });
  });

  it('lists deployments by what is asked for', async () => {
    const count = async (query: string) => (await call('GET', `/api/v1/deployments?${query}`)).body.items.length;
    expect(await count('moduleName=payment-processor&environment=development')).toBe(1);
    expect(await count('moduleName=nobody')).toBe(0);
    expect(await count('environment=QA')).toBe(0);
    expect(await count('status=succeeded')).toBe(0);
    expect(await count('from=2999-01-01T00:00:00Z')).toBe(0);
    expect(await count('to=2999-01-01T00:00:00Z&limit=1')).toBe(1);
  });

  it.each(['nonsense', 'bnVsbA', '%F0%9F%92%A9', 'eyJhIjoxfQ'])('refuses the cursor %s', async (cursor) => {
    for (const list of ['deployments', 'modules']) {
      const { status, body } = await call('GET', `/api/v1/${list}?cursor=${cursor}`);
      expect([list, status, body.errors?.[0]?.pointer]).toEqual([list, 400, '?cursor']);
    }
  });

  it('tells what happened', async () => {
    const { id } = (await call('GET', '/api/v1/deployments')).body.items[0]!;
    const { body } = await call('GET', `/api/v1/deployments/${id}/events?limit=1`);
    expect(body.items).toEqual([
      {
        id: expect.any(Number),
        at: expect.stringMatching(instant),
        type: expect.any(String),
        stage: null,
        environment: null,
        message: expect.any(String),
        data: expect.any(Object),
      },
    ]);
    expect((await call('GET', `/api/v1/deployments/${unknownId}/events`)).body.code).toBe('deployment-not-found');
  });

  it('cancels once', async () => {
    const { id } = (await call('GET', '/api/v1/deployments')).body.items[0]!;
    const cancelled = await call('POST', `/api/v1/deployments/${id}/cancel`, { reason: 'wrong version' });
    expect([cancelled.status, cancelled.body.id]).toEqual([202, id]);
    const status = async () => (await call('GET', `/api/v1/deployments/${id}`)).body['status'];
    await eventually(
      async () => (await status()) === 'Cancelled',
      () => 'cancelled',
    );
    expect((await call('POST', `/api/v1/deployments/${id}/cancel`)).body).toMatchObject({
      status: 409,
      code: 'not-running',
    });
    expect((await call('POST', `/api/v1/deployments/${id}/rollback`)).body).toMatchObject({
      status: 409,
      code: 'nothing-to-roll-back',
    });
  });

  it('pauses and resumes, and refuses what makes no sense of one that is over', async () => {
    const created = await call('POST', '/api/v1/deployments', asked({ requireApproval: true }));
    const path = `/api/v1/deployments/${created.body.id}`;
    const paused = await call('POST', `${path}/pause`, { reason: 'let us wait' });
    expect([paused.status, paused.body.id]).toEqual([202, created.body.id]);
    const status = async () => (await call('GET', path)).body['status'];
    await eventually(
      async () => (await status()) === 'Paused',
      () => 'paused',
    );
    expect((await call('POST', `${path}/resume`)).status).toBe(202);
    expect((await call('POST', `${path}/resume`)).body['code']).toBe('not-paused');
    const { body } = await call('GET', `${path}/events`);
    expect(body.items.map(({ type }) => type)).toEqual(expect.arrayContaining(['paused', 'resumed']));
    await call('POST', `${path}/cancel`);
    await eventually(
      async () => (await status()) === 'Cancelled',
      () => 'cancelled',
    );
    expect((await call('POST', `${path}/pause`)).body).toMatchObject({ status: 409, code: 'not-running' });
    expect((await call('POST', `${path}/resume`)).body).toMatchObject({ status: 409, code: 'not-paused' });
    expect((await call('POST', `${path}/promote`)).body).toMatchObject({ status: 409, code: 'nothing-to-promote' });
    expect((await call('POST', `${path}/promote`, { full: 'yes' })).body.errors?.[0]?.pointer).toBe('/full');
  });

  it('takes the place of one under way', async () => {
    const first = await call('POST', '/api/v1/deployments', asked());
    expect((await call('POST', '/api/v1/deployments', asked())).body['code']).toBe('deployment-in-progress');
    const second = await call('POST', '/api/v1/deployments', asked({ onConflict: 'Supersede' }));
    expect(second.status).toBe(202);
    const status = async (id: string) => (await call('GET', `/api/v1/deployments/${id}`)).body['status'];
    await eventually(
      async () => (await status(first.body.id)) === 'Superseded',
      () => 'superseded',
    );
    await call('POST', `/api/v1/deployments/${second.body.id}/cancel`);
    await eventually(
      async () => (await status(second.body.id)) === 'Cancelled',
      () => 'cancelled',
    );
  });

  it.each(['approve', 'reject'])('refuses to %s what asks for nothing', async (verb) => {
    const verdict = { approverEmail: 'lead@example.com' };
    const { id } = (await call('GET', '/api/v1/deployments')).body.items[0]!;
    expect(await call('POST', `/api/v1/deployments/${id}/${verb}`, verdict)).toMatchObject({
      status: 409,
      body: { code: 'nothing-to-approve' },
    });
    expect((await call('POST', `/api/v1/deployments/${unknownId}/${verb}`, verdict)).body.code).toBe(
      'deployment-not-found',
    );
    const wrong = await call('POST', `/api/v1/deployments/${id}/${verb}`, {});
    expect(wrong.body.errors?.[0]?.pointer).toBe('/approverEmail');
    expect((await call('GET', '/api/v1/approvals?status=pending')).body).toEqual({ items: [], nextCursor: null });
  });

  it.each(['', '/events'])('GET of an unknown one%s is 404', async (rest) => {
    expect((await call('GET', `/api/v1/deployments/${unknownId}${rest}`)).body.code).toBe('deployment-not-found');
  });

  it.each(['rollback', 'cancel', 'pause', 'resume', 'promote'])(
    '%s of an unknown one is 404, with or without a body',
    async (verb) => {
      for (const body of [undefined, {}, { reason: null }])
        expect((await call('POST', `/api/v1/deployments/${unknownId}/${verb}`, body)).body.code).toBe(
          'deployment-not-found',
        );
      const wrong = await call('POST', `/api/v1/deployments/${unknownId}/${verb}`, { scope: 'half' });
      expect(wrong.body.errors?.[0]?.pointer).toBe('/scope');
    },
  );
});

describe('clusters', () => {
  it('are all there, empty', async () => {
    const { body } = await call('GET', '/api/v1/clusters');
    expect(body.nextCursor).toBeNull();
    expect(
      body.items.map((cluster: Record<string, unknown>) => [
        cluster['environment'],
        cluster['strategy'],
        cluster['status'],
      ]),
    ).toEqual([
      ['Development', 'Direct', 'Empty'],
      ['QA', 'Rolling', 'Empty'],
      ['Staging', 'BlueGreen', 'Empty'],
      ['Production', 'Canary', 'Empty'],
    ]);
    expect((await call('GET', '/api/v1/clusters/qa')).body).toEqual({
      environment: 'QA',
      strategy: 'Rolling',
      status: 'Empty',
      nodeCounts: { total: 0, healthy: 0, unhealthy: 0 },
      modules: [],
      nodes: [],
    });
  });

  it('have measured nothing yet', async () => {
    const { status, body } = await call('GET', '/api/v1/clusters/Production/metrics');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      environment: 'Production',
      at: expect.stringMatching(instant),
      windowSeconds: 60,
      cluster: { requests: null, errorRatePercent: null, latencyMs: { mean: null, p50: null, p95: null, p99: null } },
      modules: [],
      nodes: [],
    });
  });

  it('change their policy only from the one that was read', async () => {
    const path = '/api/v1/clusters/Staging/policy';
    const before = await call('GET', path);
    const etag = before.headers.get('etag')!;
    expect(etag).toMatch(/^"\d+"$/);
    const policy = { ...before.body, blueGreen: { autoPromote: false, bakeSeconds: 1.5 }, strategy: 'rolling' };
    expect((await call('PUT', path, policy)).body).toMatchObject({ status: 428, code: 'precondition-required' });
    const after = await call('PUT', path, policy, { 'if-match': etag });
    expect(after.status).toBe(200);
    expect(after.body).toEqual({ ...policy, strategy: 'Rolling' });
    expect(after.headers.get('etag')).not.toBe(etag);
    expect((await call('PUT', path, policy, { 'if-match': etag })).body).toMatchObject({
      status: 412,
      code: 'precondition-failed',
    });
    expect((await call('PUT', path, before.body, { 'if-match': '*' })).status).toBe(200);
    expect((await call('GET', path)).body).toEqual(before.body);
  });

  it('do not know a node that never joined', async () => {
    expect((await call('GET', '/api/v1/nodes/nobody')).body).toMatchObject({ status: 404, code: 'node-not-found' });
  });
});

it('counts deployments and nodes for Prometheus', async () => {
  const { text } = await call('GET', '/metrics');
  expect(text).toContain('hotswap_deployments{status="Running"} 0');
  expect(text).toContain('hotswap_nodes{environment="QA",state="Ready"} 0');
});

it('sends headers that keep pages of others away', async () => {
  const { headers } = await call('GET', '/');
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});
