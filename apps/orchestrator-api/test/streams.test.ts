import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isReady } from '../../../tools/is-ready.js';
import { createDatabase, type EmptyDatabase } from './create-database.js';
import { fillStreams } from './fill-streams.js';
import { moduleArtifact, publish } from './module-artifact.js';
import { eventually, startControlPlane, type ControlPlane } from './start-control-plane.js';

let database: EmptyDatabase;
let first: ControlPlane;
let second: ControlPlane;

beforeAll(async () => {
  database = await createDatabase();
  first = await startControlPlane({ DATABASE_URL: database.url });
  second = await startControlPlane({ DATABASE_URL: database.url });
  for (const { url, output } of [first, second]) await eventually(() => isReady(url), output);
  await publish(first.url, await moduleArtifact('payment-processor', '1.0.0'));
}, 120_000);
afterAll(async () => {
  await first?.end();
  await second?.end();
  await database?.remove();
});

interface Received {
  id: string | null;
  type: string;
  data: Record<string, unknown>;
}

/** The events of a stream as they come, until it ends. */
async function* eventsOf(response: Response): AsyncGenerator<Received> {
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
      );
      if (!fields.has('event')) continue;
      const data = JSON.parse(fields.get('data')!) as Received['data'];
      yield { id: fields.get('id') ?? null, type: fields.get('event')!, data };
    }
  }
}

const stream = (url: string, headers: Record<string, string> = {}, abort?: AbortSignal) =>
  fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: abort });

/** A deployment to an environment without nodes: it waits there until someone cancels it. */
async function deploy(): Promise<string> {
  const response = await fetch(`${first.url}/api/v1/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      moduleName: 'payment-processor',
      version: '1.0.0',
      targetEnvironment: 'Development',
      requesterEmail: 'user@example.com',
    }),
  });
  const body = (await response.json()) as { id: string };
  expect([response.status, body]).toEqual([202, expect.objectContaining({ id: expect.any(String) })]);
  return body.id;
}

const cancel = (id: string) => fetch(`${first.url}/api/v1/deployments/${id}/cancel`, { method: 'POST' });

/** Cancelling is asked for and then done: the environment is free for the next deployment only once it is over. */
async function cancelAndWait(id: string): Promise<void> {
  await cancel(id);
  const read = async () => (await fetch(`${first.url}/api/v1/deployments/${id}`)).json();
  let status: unknown;
  await eventually(
    async () => (status = ((await read()) as { status: string }).status) === 'Cancelled',
    () => `cancelled, is ${String(status)}`,
  );
}

describe('the events of a deployment', () => {
  it('stream as they happen, go on at another replica where they were cut off, and end after the final one', async () => {
    const id = await deploy();
    const path = `/api/v1/deployments/${id}/events`;
    const leave = new AbortController();
    const begun = await stream(first.url + path, {}, leave.signal);
    expect(begun.status).toBe(200);
    expect(begun.headers.get('content-type')).toContain('text/event-stream');
    expect(begun.headers.get('x-content-type-options')).toBe('nosniff');
    const seen: Received[] = [];
    for await (const event of eventsOf(begun)) {
      seen.push(event);
      if (event.type === 'holding') break;
    }
    leave.abort();
    await cancel(id);
    const resumed = await stream(second.url + path, { 'last-event-id': seen.at(-1)!.id! });
    for await (const event of eventsOf(resumed)) seen.push(event);
    expect(seen.at(-1)!.type).toBe('cancelled');
    const { items } = (await (await fetch(`${first.url}${path}`)).json()) as { items: Received['data'][] };
    expect(seen.map(({ data }) => data)).toEqual(items);
    expect(seen.map(({ id: eventId, type }) => [eventId, type])).toEqual(
      items.map((item) => [String(item['id']), item['type']]),
    );
    const over = await stream(first.url + path, { 'last-event-id': seen.at(-1)!.id! });
    expect(over.status).toBe(204);
    const again: Received[] = [];
    for await (const event of eventsOf(await stream(first.url + path))) again.push(event);
    expect(again).toEqual(seen);
  });

  it('refuse an id that is none, and a deployment that is none', async () => {
    const id = await deploy();
    const wrong = await stream(`${first.url}/api/v1/deployments/${id}/events`, { 'last-event-id': 'x' });
    expect([wrong.status, ((await wrong.json()) as { errors: object[] }).errors]).toEqual([
      400,
      [expect.objectContaining({ pointer: 'Last-Event-ID' })],
    ]);
    const unknown = await stream(`${first.url}/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000/events`);
    expect(unknown.status).toBe(404);
    await cancelAndWait(id);
  });
});

describe('the explanation of a deployment', () => {
  interface Explanation {
    status: string;
    now: Record<string, unknown>;
    items: Record<string, unknown>[];
    nextCursor: string | null;
  }
  const explain = async (id: string, query = '') => {
    const response = await fetch(`${second.url}/api/v1/deployments/${id}/explanation${query}`);
    return { status: response.status, body: (await response.json()) as Explanation };
  };

  it('tells the rule that holds, what it waits for, and every decision with its numbers', async () => {
    const id = await deploy();
    let body!: Explanation;
    await eventually(
      async () => (body = (await explain(id)).body).items[0]?.['rule'] === 'no-live-nodes',
      () => `waiting for nodes, last explained: ${JSON.stringify(body)}`,
    );
    expect(body).toMatchObject({
      status: 'Running',
      now: {
        stage: 'Deploy',
        environment: 'Development',
        message: expect.stringContaining('no live node'),
        numbers: {},
        waitsFor: 'Nodes',
        looksAgainAt: expect.stringMatching(/Z$/),
      },
      nextCursor: null,
    });
    const rules = body.items.map(({ kind, rule, stage }) => [kind, rule, stage]);
    expect(rules.at(0)).toEqual(['hold', 'no-live-nodes', 'Deploy']);
    expect(rules.at(-1)).toEqual(['gather', 'verifying', 'Verify']);
    expect(body.items[0]).toMatchObject({ revisions: { deployment: expect.any(Number) }, changes: expect.any(Object) });
    const page = (await explain(id, '?limit=1')).body;
    const rest = (await explain(id, `?cursor=${page.nextCursor}`)).body;
    expect([...page.items, ...rest.items]).toEqual(body.items);

    await cancelAndWait(id);
    const ended = (await explain(id)).body;
    expect(ended.status).toBe('Cancelled');
    expect(ended.now).toMatchObject({
      stage: null,
      rule: 'cancelled',
      waitsFor: null,
      untilAt: null,
      looksAgainAt: null,
    });
    expect((await explain('0193a0b0-0000-7000-8000-000000000000')).status).toBe(404);
  });
});

describe('the metrics of a cluster', () => {
  it('stream the same as the document, again and again', async () => {
    const leave = new AbortController();
    const url = `${first.url}/api/v1/clusters/QA/metrics`;
    const received: Received[] = [];
    for await (const event of eventsOf(await stream(url, {}, leave.signal))) {
      received.push(event);
      if (received.length === 2) break;
    }
    leave.abort();
    const document = (await (await fetch(url)).json()) as Received['data'];
    for (const { type, data } of received) {
      expect(type).toBe('metrics');
      expect(data).toEqual({ ...document, at: data['at'], series: data['series'] });
    }
    expect(received[1]!.data['at']! > received[0]!.data['at']!).toBe(true);
    expect((await stream(`${url}?stepSeconds=0`)).status).toBe(400);
  });
});

it('refuses streams beyond its limit, and gives their room back', async () => {
  const id = await deploy();
  const path = `/api/v1/deployments/${id}/events`;
  const sockets = await fillStreams(second.url, path);
  const refused = await stream(`${second.url}${path}`);
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, 'too-many-streams']);
  expect(refused.headers.get('retry-after')).toBe('10');
  for (const socket of sockets) socket.destroy();
  await eventually(
    async () => {
      const leave = new AbortController();
      const { status } = await stream(`${second.url}${path}`, {}, leave.signal);
      leave.abort();
      return status === 200;
    },
    () => 'room again',
  );
  await cancelAndWait(id);
}, 240_000);

it('ends its streams when it shuts down', async () => {
  const id = await deploy();
  const events = eventsOf(await stream(`${second.url}/api/v1/deployments/${id}/events`));
  const metrics = eventsOf(await stream(`${second.url}/api/v1/clusters/QA/metrics`));
  await events.next();
  await metrics.next();
  const ended = second.end();
  for (const open of [events, metrics]) while (!(await open.next()).done);
  expect(await ended).toBe(0);
  await cancel(id);
}, 60_000);
