import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Evidence, ExternalCheck } from '@hotswap/domain';
import { isPrivateAddress } from '../src/checks/public-address.js';
import { runCheck } from '../src/checks/run-check.js';
import { DeploymentPipeline } from '../src/deployment-pipeline.js';
import { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from '../src/strategies/strategies.js';
import { StrategyRegistry } from '../src/strategies/strategy-registry.js';
import { World } from './world.js';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, turn: number) => void,
): Promise<string> {
  let turn = 0;
  const server = createServer((request, response) => answer(request, response, ++turn));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const prometheus = (url: string, limits: { min?: number; max?: number }): ExternalCheck => ({
  name: 'slo',
  kind: 'prometheus',
  url,
  query: 'sum(rate(errors[1m]))',
  min: limits.min ?? null,
  max: limits.max ?? null,
  intervalSeconds: 15,
});
const webhook = (url: string): ExternalCheck => ({ name: 'gate', kind: 'webhook', url, intervalSeconds: 15 });
const vector = (...values: string[]) =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
  });
const local = ['127.0.0.1'];
const ask = async (check: ExternalCheck, hosts = local) => (await runCheck(check, { version: '2.0.0' }, hosts)).status;

describe('a Prometheus check', () => {
  it('asks the query, and is good within its limits, by the worst of several series', async () => {
    let asked = '';
    const url = await serve((request, response) => {
      asked = request.url ?? '';
      response.end(vector('0.2', '3', '1'));
    });
    expect(await runCheck(prometheus(url, { max: 3 }), {}, local)).toMatchObject({
      status: 'Passed',
      message: 'slo is 3, wanted at most 3',
    });
    expect(new URL(asked, url).searchParams.get('query')).toBe('sum(rate(errors[1m]))');
    expect(await ask(prometheus(url, { max: 2.9 }))).toBe('Refused');
    expect(await ask(prometheus(url, { min: 0.2 }))).toBe('Passed');
    expect(await ask(prometheus(url, { min: 0.3, max: 5 }))).toBe('Refused');
  });

  it.each([
    ['no series', vector()],
    ['no number', vector('1', 'NaN')],
    ['an error', JSON.stringify({ status: 'error', error: 'bad query' })],
    ['another type', JSON.stringify({ status: 'success', data: { resultType: 'string', result: 'x' } })],
    ['no JSON', '<html>'],
    ['nothing', 'null'],
  ])('takes %s for neither good nor bad', async (_, body) => {
    const url = await serve((_request, response) => response.end(body));
    expect(await ask(prometheus(url, { max: 10 }))).toBe('Unknown');
  });

  it('asks again after an error, and gives up after the third', async () => {
    const mended = await serve((_request, response, turn) => {
      response.statusCode = turn < 3 ? 503 : 200;
      response.end(vector('1'));
    });
    expect(await ask(prometheus(mended, { max: 10 }))).toBe('Passed');
    let asked = 0;
    const broken = await serve((_request, response, turn) => {
      asked = turn;
      response.statusCode = 503;
      response.end();
    });
    expect(await ask(prometheus(broken, { max: 10 }))).toBe('Unknown');
    expect(asked).toBe(3);
  });
});

describe('a webhook', () => {
  it('is told what it is about, and its verdict counts', async () => {
    const told: string[] = [];
    const url = await serve((request, response, turn) => {
      request.on('data', (chunk: Buffer) => told.push(chunk.toString()));
      request.on('end', () => response.end(JSON.stringify({ verdict: ['good', 'bad', 'fine'][turn - 1] })));
    });
    expect([await ask(webhook(url)), await ask(webhook(url)), await ask(webhook(url))]).toEqual([
      'Passed',
      'Refused',
      'Unknown',
    ]);
    expect(JSON.parse(told[0] ?? '')).toEqual({ version: '2.0.0' });
  });

  it('follows no redirect, waits for no answer for ever, reads no endless one', async () => {
    let wasFollowed = false;
    const target = await serve((_request, response) => {
      wasFollowed = true;
      response.end('{"verdict":"good"}');
    });
    const redirecting = await serve((_request, response) => response.writeHead(302, { location: target }).end());
    expect(await ask(webhook(redirecting))).toBe('Unknown');
    expect(wasFollowed).toBe(false);
    const silent = await serve(() => undefined);
    expect(await ask(webhook(silent))).toBe('Unknown');
    const endless = await serve((_request, response) => response.end(' '.repeat(2 * 1024 * 1024)));
    expect(await ask(webhook(endless))).toBe('Unknown');
  }, 60_000);

  it('asks no private address that is not allowed, by number or by name', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked++;
      response.end('{"verdict":"good"}');
    });
    const byName = url.replace('127.0.0.1', 'localhost');
    expect([await ask(webhook(url), []), await ask(webhook(byName), [])]).toEqual(['Unknown', 'Unknown']);
    expect(asked).toBe(0);
    expect(await ask(webhook(byName), [new URL(byName).host])).toBe('Passed');
  });

  it('knows private addresses in every spelling', () => {
    const own = [
      '127.0.0.1',
      '10.1.2.3',
      '172.31.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '::1',
    ];
    const mapped = [
      '::ffff:10.0.0.1',
      '::ffff:7f00:1',
      '::127.0.0.1',
      '64:ff9b::a00:1',
      '2002:7f00:1::',
      'fe80::1%1',
      'fd00::1',
      'fe80::1',
      '255.255.255.255',
      '::',
    ];
    expect([...own, ...mapped].filter((address) => !isPrivateAddress(address))).toEqual([]);
    expect(['8.8.8.8', '172.32.0.1', '2606:4700::1111'].filter(isPrivateAddress)).toEqual([]);
  });
});

describe('a deployment with checks', () => {
  const pipeline = new DeploymentPipeline(
    new StrategyRegistry([new DirectStrategy(), new RollingStrategy(), new BlueGreenStrategy(), new CanaryStrategy()]),
  );

  /** Runs until the deployment ends, or for so many looks; checks are answered as given. */
  async function run(answer: Evidence['status'], looks = 4000) {
    const world = new World({ stable: 'v1', target: 'v2', upTo: 'Development' });
    world.policyOf = (policy) => ({ ...policy, strategy: 'Canary', checks: [webhook('https://gate.example.com')] });
    const asked = new Set<string>();
    for (let look = 0; look < looks; look++) {
      const view = await world.loadView();
      if (!view) break;
      const evidence = view.evidence.map((each) => {
        if (each.kind === 'check') asked.add(each.subject);
        return each.kind === 'check' ? { ...each, status: answer, message: `gate is ${answer}` } : each;
      });
      await world.commit(view, pipeline.decide({ ...view, evidence }));
      world.settle();
      world.now += 1000;
    }
    return { world, asked };
  }

  it('goes on with good answers, asked once an interval in each step', async () => {
    const { world, asked } = await run('Passed');
    expect(world.deployment.status).toBe('Succeeded');
    expect(asked.size).toBeGreaterThan(4);
    expect(asked.size).toBeLessThan(60);
  });

  it('is taken back by a bad answer', async () => {
    const { world } = await run('Refused');
    expect(world.deployment).toMatchObject({ status: 'RolledBack', rollbackReason: { code: 'check-failed' } });
    expect(world.serving('Development')).toEqual(['v1', 'v1']);
  });

  it.each(['Unknown', 'Requested'] as const)(
    'does not go on while the answer is %s, and goes back in the end',
    async (answer) => {
      const { world } = await run(answer, 300);
      expect(world.deployment).toMatchObject({ status: 'Running', reason: { code: 'awaiting-check' } });
      expect(world.serving('Development')).toEqual(['v1+v2@5', 'v1']);
      const end = await run(answer);
      expect(end.world.deployment).toMatchObject({ status: 'RolledBack', rollbackReason: { code: 'check-deadline' } });
    },
  );
});
