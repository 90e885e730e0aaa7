import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CursorError } from '@hotswap/orchestrator';
import { TestPostgres } from './postgres.js';
import { artifactOf, newDeployment, World } from './world.js';

let postgres: TestPostgres;
let world: World;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  world = new World(await postgres.open(await postgres.clone()));
  await world.publish('1.0.0');
});

describe('creating a deployment', () => {
  it('writes it with its stages and its first event', async () => {
    const id = await world.deploy('1.0.0', 'Staging', { requireApproval: true });
    const record = await world.deployments.find(id);
    expect(record?.deployment).toMatchObject({
      id,
      module: 'payment-processor',
      artifact: artifactOf('1.0.0'),
      targetEnvironment: 'Staging',
      metadata: { ticket: 'PAY-1' },
      status: 'Pending',
      revision: 1,
      startedAt: null,
    });
    expect(record?.stages.map(({ name, environment, status }) => [name, environment, status])).toEqual([
      ['Verify', null, 'Pending'],
      ['Deploy', 'Development', 'Pending'],
      ['Deploy', 'QA', 'Pending'],
      ['Approval', 'Staging', 'Pending'],
      ['Deploy', 'Staging', 'Pending'],
      ['Validate', 'Staging', 'Pending'],
    ]);
    expect(record?.nodes).toEqual({});
    const events = await world.deployments.events(id, { limit: 10, cursor: null });
    expect(events?.items.map(({ type }) => type)).toEqual(['deployment-created']);
  });

  it('says what is not there', async () => {
    const create = (version: string, module: string) =>
      world.deployments.create(newDeployment(version, 'QA', { module }));
    expect(await create('1.0.0', 'unknown')).toEqual({ kind: 'module-not-found' });
    expect(await create('9.0.0', 'payment-processor')).toEqual({ kind: 'version-not-found' });
    await world.rows('UPDATE hotswap.module_version SET withdrawn_at = now()');
    expect(await create('1.0.0', 'payment-processor')).toEqual({ kind: 'version-withdrawn' });
    expect(await world.deployments.find('no-uuid')).toBeNull();
    expect(
      await world.deployments.events('0193e3a6-0000-7000-8000-000000000000', { limit: 1, cursor: null }),
    ).toBeNull();
  });

  it('lets one of twenty at once win, and names it to the others', async () => {
    const targets = ['Development', 'QA', 'Staging', 'Production'] as const;
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        world.deployments.create(newDeployment('1.0.0', targets[index % targets.length]!)),
      ),
    );
    const created = outcomes.filter(({ kind }) => kind === 'created');
    expect(created).toHaveLength(1);
    const winner = (created[0] as { id: string }).id;
    expect(outcomes.filter(({ kind }) => kind !== 'created')).toEqual(
      Array.from({ length: 19 }, () => ({ kind: 'deployment-in-progress', id: winner })),
    );
    expect(await world.rows('SELECT FROM hotswap.deployment')).toHaveLength(1);
  });

  it('leaves other modules and other environments alone', async () => {
    await world.publish('1.0.0', 'price-list');
    await world.deploy('1.0.0', 'Production');
    await world.deploy('1.0.0', 'Production', { module: 'price-list' });
    expect(await world.rows('SELECT FROM hotswap.deployment')).toHaveLength(2);
  });

  it('makes one deployment of one idempotency key, however often and at once it comes', async () => {
    const idempotency = { key: 'k1', bodyDigest: 'sha256:a' };
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => world.deployments.create(newDeployment('1.0.0', 'QA', { idempotency }))),
    );
    const ids = new Set(outcomes.map((outcome) => (outcome as { id: string }).id));
    expect(ids.size).toBe(1);
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['created', ...Array<string>(9).fill('repeated')]);
    const other = { key: 'k1', bodyDigest: 'sha256:b' };
    expect(await world.deployments.create(newDeployment('1.0.0', 'QA', { idempotency: other }))).toEqual({
      kind: 'idempotency-key-reused',
    });
  });

  it('keeps no key of a request that came to nothing, and forgets keys after a day', async () => {
    const idempotency = { key: 'k1', bodyDigest: 'sha256:a' };
    expect(await world.deployments.create(newDeployment('9.0.0', 'QA', { idempotency }))).toEqual({
      kind: 'version-not-found',
    });
    const first = await world.deploy('1.0.0', 'QA', { idempotency });
    await world.rows(`UPDATE hotswap.idempotency_key SET created_at = now() - interval '25 hours'`);
    expect(await world.deployments.create(newDeployment('1.0.0', 'QA', { idempotency }))).toEqual({
      kind: 'deployment-in-progress',
      id: first,
    });
  });

  it('waits for the one that is done but not validated yet', async () => {
    const id = await world.deploy('1.0.0', 'Development');
    await world.rows(`UPDATE hotswap.deployment_stage SET status = 'Succeeded' WHERE name IN ('Verify', 'Deploy')`);
    expect(await world.deployments.create(newDeployment('1.0.0', 'QA'))).toEqual({
      kind: 'deployment-in-progress',
      id,
    });
  });
});

describe('listing deployments', () => {
  it('pages newest first through all of them, once each, and filters', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index++) {
      await world.publish('1.0.0', `module-${index}`);
      ids.unshift(await world.deploy('1.0.0', index % 2 ? 'QA' : 'Development', { module: `module-${index}` }));
    }
    await world.rows(`UPDATE hotswap.deployment SET created_at = date_trunc('day', now())`);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof world.deployments.list>> = await world.deployments.list(
        {},
        { limit: 3, cursor },
      );
      seen.push(...page.items.map(({ deployment }) => deployment.id));
      expect(page.items.every(({ stages }) => stages.length >= 3)).toBe(true);
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(ids);
    const count = async (filter: Parameters<typeof world.deployments.list>[0]) =>
      (await world.deployments.list(filter, { limit: 200, cursor: null })).items.length;
    expect(await count({ environment: 'QA' })).toBe(3);
    expect(await count({ module: 'module-1' })).toBe(1);
    expect(await count({ status: 'Succeeded' })).toBe(0);
    expect(await count({ from: new Date(Date.now() + 86_400_000) })).toBe(0);
    expect(await count({ to: new Date(Date.now() + 86_400_000) })).toBe(7);
  });

  it.each(['x', Buffer.from('[1,2]').toString('base64url'), Buffer.from('{}').toString('base64url')])(
    'refuses the cursor %s',
    async (cursor) => {
      await expect(world.deployments.list({}, { limit: 3, cursor })).rejects.toThrow(CursorError);
    },
  );
});
