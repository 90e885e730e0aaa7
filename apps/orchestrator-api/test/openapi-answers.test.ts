import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { AnswerCheck } from './answer-check.js';
import { callsOf, type Answer } from './call.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';
import { TestNode, type Environment } from './start-node.js';

const name = 'payment-processor';
const environments: Environment[] = ['Development', 'QA', 'Staging', 'Production'];
const unknownId = '0193a0b0-0000-7000-8000-000000000000';
const unknownDigest = `sha256:${'0'.repeat(64)}`;

let database: EmptyDatabase;
let controlPlane: ControlPlane;
let answers: AnswerCheck;
const nodes: TestNode[] = [];

beforeAll(async () => {
  database = await createDatabase();
  controlPlane = await startControlPlane({ DATABASE_URL: database.url });
  const { url, output } = controlPlane;
  await eventually(() => isReady(url), output);
  const document = await (await fetch(`${url}/openapi.json`)).json();
  answers = new AnswerCheck(document as ConstructorParameters<typeof AnswerCheck>[0]);
  for (const environment of environments) nodes.push(await TestNode.start(url, environment));
}, 400_000);
afterAll(async () => {
  for (const node of nodes) await node.remove();
  await controlPlane?.end();
  await database?.remove();
});

/** Calls, and holds the answer against the document. */
async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await callsOf(controlPlane.url)(method, path, body, headers);
  answers.check(method, path, answer);
  return answer;
}

/** The same, where this status is expected; answers the body. */
async function expectStatus(status: number, ...request: Parameters<typeof call>): Promise<Answer['body']> {
  const answer = await call(...request);
  expect([request.slice(0, 2), answer.status, answer.text]).toEqual([request.slice(0, 2), status, expect.any(String)]);
  return answer.body;
}

async function publishVersion(version: string, status = 201, source = ''): Promise<void> {
  const answer = await publish(controlPlane.url, await moduleArtifact(name, version, source));
  expect(answer.status).toBe(status);
  answers.check('POST', '/api/v1/modules', { ...answer, text: JSON.stringify(answer.body) });
}

async function deploy(version: string, targetEnvironment: Environment, more: object = {}): Promise<string> {
  const wish = { moduleName: name, version, targetEnvironment, requesterEmail: 'user@example.com', ...more };
  const { id } = await expectStatus(202, 'POST', '/api/v1/deployments', wish);
  return `/api/v1/deployments/${id}`;
}

/** Looks, each time holding the answer against the document, until the deployment is as wanted. */
async function waitUntil(path: string, isSo: (deployment: Answer['body']) => boolean | Promise<boolean>) {
  let last = '';
  await eventually(
    async () => {
      const { body, text } = await call('GET', path).catch((error: Error) => ({ body: null, text: error.message }));
      last = text;
      return body !== null && isSo(body);
    },
    () => last,
  );
}

const waitForStatus = (path: string, status: string) => waitUntil(path, (body) => body['status'] === status);

async function stream(path: string): Promise<void> {
  const leave = new AbortController();
  const { status, headers } = await fetch(controlPlane.url + path, {
    headers: { accept: 'text/event-stream' },
    signal: leave.signal,
  });
  answers.check('GET', path, { status, headers, text: '' });
  leave.abort();
}

async function makeQuick(environment: Environment): Promise<void> {
  const path = `/api/v1/clusters/${environment}/policy`;
  const policy = await expectStatus(200, 'GET', path);
  const canary = {
    scout: null,
    steps: [
      { percent: 50, minimumSeconds: 300, maximumSeconds: 900 },
      { percent: 100, minimumSeconds: 0, maximumSeconds: 900 },
    ],
    analysis: { twin: false, bakeSeconds: 0, inconclusive: 'advance', parameters: {} },
  };
  const quick = {
    ...policy,
    canary,
    rolling: { ...(policy['rolling'] as object), minimumReadySeconds: 0 },
    blueGreen: { autoPromote: true, bakeSeconds: 0 },
    validateSeconds: 0.5,
  };
  await expectStatus(428, 'PUT', path, quick);
  await expectStatus(412, 'PUT', path, quick, { 'if-match': '"99"' });
  await expectStatus(400, 'PUT', path, { strategy: 'Luck' }, { 'if-match': '*' });
  await expectStatus(200, 'PUT', path, quick, { 'if-match': '*' });
}

it('every operation answers what the document says, and nothing else', async () => {
  for (const path of ['/health', '/health/live', '/health/ready', '/metrics']) await expectStatus(200, 'GET', path);

  await publishVersion('1.0.0');
  await publishVersion('1.0.0', 200);
  await publishVersion('1.0.0', 409, '// other bytes');
  for (const version of ['1.1.0', '1.2.0']) await publishVersion(version);
  const published = await expectStatus(200, 'GET', `/api/v1/modules/${name}/versions/1.0.0`);
  await expectStatus(404, 'GET', `/api/v1/modules/${name}/versions/9.0.0`);
  await expectStatus(200, 'GET', '/api/v1/modules?limit=1');
  await expectStatus(400, 'GET', '/api/v1/modules?limit=0');
  await expectStatus(200, 'GET', `/api/v1/modules/${name}`);
  await expectStatus(404, 'GET', '/api/v1/modules/nobody');
  await expectStatus(200, 'GET', `/api/v1/artifacts/${published['digest'] as string}`);
  await expectStatus(404, 'GET', `/api/v1/artifacts/${unknownDigest}`);
  await expectStatus(200, 'POST', `/api/v1/modules/${name}/versions/1.2.0/withdraw`, { reason: 'Not good' });
  await expectStatus(400, 'POST', `/api/v1/modules/${name}/versions/1.2.0/withdraw`, {});
  const configuration = `/api/v1/modules/${name}/configuration/QA`;
  await expectStatus(200, 'GET', configuration);
  await expectStatus(404, 'GET', '/api/v1/modules/nobody/configuration/QA');
  await expectStatus(200, 'PUT', configuration, { currency: 'EUR', nested: { a: [1, null] } }, { 'if-match': '"0"' });
  await expectStatus(428, 'PUT', configuration, {});

  for (const environment of environments) await makeQuick(environment);
  await expectStatus(404, 'GET', '/api/v1/clusters/Moon/policy');

  // It can't reach Production before others meet it there: it waits for a person, twice.
  const first = await deploy('1.0.0', 'Production', { requireApproval: true });
  await expectStatus(409, 'DELETE', `/api/v1/clusters/Production/modules/${name}`);
  const wish = { moduleName: name, version: '1.0.0', targetEnvironment: 'QA', requesterEmail: 'user@example.com' };
  await expectStatus(409, 'POST', '/api/v1/deployments', { ...wish, targetEnvironment: 'Production' });
  await expectStatus(400, 'POST', '/api/v1/deployments', { ...wish, colour: 'red' });
  for (let given = 0; given < 2; given++)
    await waitUntil(first, async () => {
      const { status } = await call('POST', `${first}/approve`, { approverEmail: 'lead@example.com' });
      return status === 202;
    });
  await waitForStatus(first, 'Succeeded');
  await expectStatus(409, 'POST', `${first}/cancel`);
  await expectStatus(409, 'POST', `${first}/retry`);
  await expectStatus(200, 'POST', '/api/v1/deployments?dryRun=true', { ...wish, version: '1.1.0' });
  await expectStatus(409, 'POST', `${first}/pause`);
  await expectStatus(409, 'POST', `${first}/resume`);
  await expectStatus(409, 'POST', `${first}/promote`, { full: true });

  await expectStatus(200, 'GET', '/api/v1/clusters');
  await expectStatus(400, 'GET', '/api/v1/clusters?colour=red');
  await expectStatus(200, 'GET', '/api/v1/clusters/production');
  await expectStatus(404, 'GET', '/api/v1/clusters/Moon');
  await expectStatus(200, 'GET', '/api/v1/clusters/Production/metrics');
  await expectStatus(400, 'GET', '/api/v1/clusters/Production/metrics?stepSeconds=0');
  await stream('/api/v1/clusters/Production/metrics');
  await expectStatus(200, 'GET', `/api/v1/clusters/Production/detection?moduleName=${name}`);
  await expectStatus(400, 'GET', '/api/v1/clusters/Production/detection');

  // A canary that nobody asks anything of waits: time to look at it, and to say what is to become of it.
  const second = await deploy('1.1.0', 'Production');
  await waitUntil(second, async () => {
    const { body } = await call('GET', `${second}/analysis`);
    return body.items.length > 0;
  });
  await expectStatus(404, 'GET', `/api/v1/deployments/${unknownId}/analysis`);
  await expectStatus(200, 'GET', `${second}/recording`);
  await expectStatus(404, 'GET', `${second}/recording?environment=QA`);
  await expectStatus(200, 'POST', `${second}/replay`, {});
  await expectStatus(404, 'POST', `${second}/replay`, { environment: 'QA' });
  await expectStatus(200, 'GET', `${second}/explanation`);
  await expectStatus(404, 'GET', `/api/v1/deployments/${unknownId}/explanation`);
  await expectStatus(200, 'GET', `${second}/events`);
  await expectStatus(404, 'GET', `/api/v1/deployments/${unknownId}/events`);
  await stream(`${second}/events`);
  await expectStatus(202, 'POST', `${second}/pause`, { reason: 'lunch' });
  await waitForStatus(second, 'Paused');
  await expectStatus(202, 'POST', `${second}/resume`);
  await expectStatus(202, 'POST', `${second}/promote`, { full: true });
  await expectStatus(202, 'POST', `${second}/rollback`, { scope: 'environment', reason: 'enough' });
  await waitForStatus(second, 'RolledBack');
  await expectStatus(409, 'POST', `${second}/rollback`);
  const { items } = await expectStatus(200, 'GET', `${second}/events?limit=200`);
  await expectStatus(204, 'GET', `${second}/events`, undefined, {
    accept: 'text/event-stream',
    'last-event-id': String(items.at(-1)!.id),
  });

  for (const [verdict, refusal] of [
    ['approve', 403],
    ['reject', 400],
  ] as const) {
    const asking = await deploy('1.1.0', 'Staging', { requireApproval: true });
    await waitForStatus(asking, 'AwaitingApproval');
    await expectStatus(200, 'GET', '/api/v1/approvals?status=pending');
    const approverEmail = refusal === 403 ? 'user@example.com' : 'nobody';
    await expectStatus(refusal, 'POST', `${asking}/${verdict}`, { approverEmail });
    await expectStatus(202, 'POST', `${asking}/${verdict}`, { approverEmail: 'lead@example.com', reason: 'seen' });
    await waitUntil(asking, (body) => body['finishedAt'] !== null);
    await expectStatus(409, 'POST', `${asking}/${verdict}`, { approverEmail: 'lead@example.com' });
  }
  await expectStatus(400, 'GET', '/api/v1/approvals?status=maybe');
  await expectStatus(200, 'GET', '/api/v1/deployments?limit=2&status=rolledBACK');
  await expectStatus(400, 'GET', '/api/v1/deployments?status=lost');
  await expectStatus(404, 'GET', `/api/v1/deployments/${unknownId}`);
  const cancelled = await deploy('1.1.0', 'Production', { description: null, metadata: { ticket: 'PAY-1' } });
  await expectStatus(202, 'POST', `${cancelled}/cancel`, { reason: 'wrong one' });
  await waitForStatus(cancelled, 'Cancelled');
  const { id: retried } = await expectStatus(202, 'POST', `${cancelled}/retry`);
  await expectStatus(202, 'POST', `/api/v1/deployments/${retried}/cancel`);
  await waitForStatus(`/api/v1/deployments/${retried}`, 'Cancelled');

  await expectStatus(202, 'DELETE', `/api/v1/clusters/Production/modules/${name}`);
  await expectStatus(404, 'DELETE', `/api/v1/clusters/Production/modules/${name}`);
  const [node] = nodes as [TestNode];
  await expectStatus(200, 'GET', `/api/v1/nodes/${node.id}`);
  await expectStatus(202, 'POST', `/api/v1/nodes/${node.id}/drain`);
  await expectStatus(202, 'DELETE', `/api/v1/nodes/${node.id}`);
  await expectStatus(404, 'GET', `/api/v1/nodes/${node.id}`);
  await expectStatus(404, 'POST', `/api/v1/nodes/${node.id}/drain`);
  await expectStatus(404, 'DELETE', `/api/v1/nodes/${node.id}`);

  expect(answers.unseen('success')).toEqual([]);
  // The health routes answer their report with 503, and the figures nothing else, while the database is there.
  expect(answers.unseen('problem')).toEqual(['GET /health', 'GET /health/live', 'GET /health/ready', 'GET /metrics']);
}, 600_000);

it('tells what an answer has beyond the document', async () => {
  const { status, headers, body } = await call('GET', '/api/v1/clusters/QA');
  const check = (changes: object) => () =>
    answers.check('GET', '/api/v1/clusters/QA', { status, headers, text: JSON.stringify({ ...body, ...changes }) });
  expect(check({})).not.toThrow();
  expect(check({ colour: 'red' })).toThrow('additional properties');
  expect(check({ nodeCounts: { total: 1, healthy: 1, unhealthy: 0, lost: 0 } })).toThrow('additional properties');
  expect(check({ status: 'Fine' })).toThrow('allowed values');
  expect(() => answers.check('GET', '/api/v1/clusters/QA', { status: 418, headers, text: '{}' })).toThrow('418');
});
