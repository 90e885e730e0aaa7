import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseTrust, type Trust } from '@hotswap/module-kit';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApplication } from '../src/application.js';
import { createLog } from '../src/log.js';
import { readSettings } from '../src/settings.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { OneByOneStrategy } from './one-by-one.js';
import { ProtocolNode } from './protocol-node.js';
import { eventually, trustedKey } from './start-control-plane.js';

const policyPath = '/api/v1/clusters/Development/policy';
let database: EmptyDatabase;
let app: NestFastifyApplication;
let url: string;
const nodes: ProtocolNode[] = [];
const story: string[] = [];

beforeAll(async () => {
  database = await createDatabase();
  const settings = readSettings({ DATABASE_URL: database.url, HOTSWAP_TRUST_FILE: 'given', LOG_LEVEL: 'fatal' });
  app = await createApplication(settings, trust(), createLog('fatal'), [OneByOneStrategy]);
  await app.listen(0, '127.0.0.1');
  url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  for (const id of ['a', 'b', 'c'])
    nodes.push(new ProtocolNode(url, id, (nodeId, version) => story.push(`${nodeId} ${version}`)));
  for (const node of nodes) await node.start();
}, 120_000);

afterAll(async () => {
  for (const node of nodes) await node.stop();
  await app?.close();
  await database?.remove();
});

function trust(): Trust {
  const environments = ['Development', 'QA', 'Staging', 'Production'];
  return parseTrust({
    trust: 1,
    keys: [{ id: trustedKey.id, publicKey: trustedKey.publicKeyPem }],
    rules: [{ modules: 'payment-*', environments, keys: [trustedKey.id], signatures: 1 }],
  });
}

async function setStrategy(strategy: string) {
  const current = await fetch(url + policyPath);
  const policy = (await current.json()) as object;
  const answer = await fetch(url + policyPath, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', 'if-match': current.headers.get('etag') ?? '' },
    body: JSON.stringify({ ...policy, strategy, validateSeconds: 0 }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function deploy(version: string) {
  const artifact = await moduleArtifact('payment-processor', version);
  expect((await publish(url, artifact)).status).toBe(201);
  const answer = await fetch(`${url}/api/v1/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      moduleName: 'payment-processor',
      version,
      targetEnvironment: 'Development',
      requesterEmail: 'user@example.com',
    }),
  });
  expect(answer.status).toBe(202);
  const location = answer.headers.get('location') ?? '';
  let deployment: Record<string, unknown> = {};
  await eventually(
    async () => {
      deployment = (await (await fetch(url + location)).json()) as typeof deployment;
      return deployment['status'] === 'Succeeded';
    },
    () => JSON.stringify(deployment),
  );
  return deployment;
}

describe('A strategy that someone else has added', () => {
  it('is written as CONTRIBUTING.md says', () => {
    const root = join(import.meta.dirname, '..', '..', '..');
    const recipe = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').replaceAll(/^ {3}/gm, '');
    const source = readFileSync(join(import.meta.dirname, 'one-by-one.ts'), 'utf8');
    expect(recipe).toContain(source.slice(source.indexOf('@Injectable()')).trim());
  });

  it('may be named in a policy, in any case; another name is refused with those there are', async () => {
    const { status, body } = await setStrategy('onebyone');
    expect([status, body['strategy']]).toEqual([200, 'OneByOne']);
    expect(await setStrategy('Rollin')).toMatchObject({
      status: 400,
      body: {
        code: 'validation-failed',
        errors: [{ pointer: '/strategy', message: 'must be one of Direct, Rolling, BlueGreen, Canary, OneByOne' }],
      },
    });
  });

  it('rolls a release out as it decides, with the engine’s waits, guards and reasons', async () => {
    const first = await deploy('1.0.0');
    expect(first['stages']).toContainEqual(expect.objectContaining({ name: 'Deploy', strategy: 'OneByOne' }));
    story.length = 0;
    const second = await deploy('2.0.0');
    expect(story).toEqual(['a 2.0.0', 'b 2.0.0', 'c 2.0.0']);
    expect(second['outcome']).toBe('Promoted');
    const explanation = await fetch(`${url}/api/v1/deployments/${String(second['id'])}/explanation`);
    const { items } = (await explanation.json()) as { items: { rule: string; message: string }[] };
    const steps = items.filter(({ rule }) => rule === 'step').map(({ message }) => message.split(' starts')[0]);
    expect(steps.reverse()).toEqual(['One by one, node 1 of 3', 'One by one, node 2 of 3', 'One by one, node 3 of 3']);
  }, 300_000);
});
