import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { TrafficSample } from '@hotswap/agent-protocol';
import { HostFixture } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

const check = (path: string, json?: object) => ({
  request: { method: 'GET' as const, path, headers: {} },
  expect: { status: 200, json },
});
const smoke = [check('/a'), check('/b')];

/** Answers its probes as told, and what others ask always well. */
const module = (probed: string) => `let seen = 0;
  export default { fetch: (request, env) => {
    const isProbe = request.headers.get('x-hotswap-probe') === '1';
    if (isProbe) seen++;
    ${probed}
    return Response.json({ version: env.version, seen });
  } };`;

/** Sums of probes by role, until there are so many. */
async function probes(count: number): Promise<Map<string, TrafficSample>> {
  const sums = new Map<string, TrafficSample>();
  await fixture.until(`${count} probes`, () => {
    for (const sample of fixture.host.takeProbes()) {
      const known = sums.get(sample.role ?? 'active');
      sums.set(sample.role ?? 'active', {
        ...sample,
        requests: sample.requests + (known?.requests ?? 0),
        failures: sample.failures + (known?.failures ?? 0),
      });
    }
    return [...sums.values()].reduce((sum, { requests }) => sum + requests, 0) >= count;
  });
  return sums;
}

const order = (requestsMax: number, id = 'one') => ({ id, requestsPerSecond: 100, requestsMax });

async function compare(candidate: string, requestsMax: number, manifest: object = { smoke }) {
  const one = fixture.release('shop@1.0.0', module(''), { smoke });
  const two = fixture.release('shop@2.0.0', module(candidate), manifest);
  await fixture.reach(one);
  const asked = { candidate: two, candidatePercent: 10, twin: true };
  await fixture.reach(one, asked);
  await fixture.until('the twin is ready', () => fixture.report('shop').twin === true);
  const users = fixture.host.takeTraffic();
  expect(users.every(({ requests }) => requests === 0)).toBe(true);
  fixture.apply(one, { ...asked, probe: order(requestsMax) });
  return { one, two, asked };
}

describe('Probes', () => {
  it('go to candidate and twin by a fair coin, so many at most, and are no traffic of users', async () => {
    const { one, asked } = await compare('', 120);
    const sums = await probes(120);
    expect([...sums.keys()].sort()).toEqual(['candidate', 'twin']);
    expect(sums.get('candidate')!.failures + sums.get('twin')!.failures).toBe(0);
    expect(Math.abs(sums.get('candidate')!.requests - 60)).toBeLessThan(5 * Math.sqrt(120 * 0.25));
    expect(fixture.host.takeTraffic().every(({ requests }) => requests === 0)).toBe(true);
    // The same order again, as with every new document, sends no more; another one does.
    fixture.apply(one, { ...asked, warm: [], probe: order(120), traceparent: '00-1-1-01' });
    fixture.apply(one, { ...asked, probe: order(20, 'two') });
    expect((await probes(20)).size).toBeGreaterThan(0);
    fixture.apply(one, asked);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(fixture.host.takeProbes()).toEqual([]);
  });

  it('fail when the answer is an error, another one than the manifest expects, or none in time', async () => {
    for (const [what, probed] of [
      ['error', 'if (isProbe) return new Response(null, { status: 500 });'],
      ['other answer', 'if (isProbe) return new Response(null, { status: 204 });'],
      ['no answer', 'if (isProbe) return new Promise(() => undefined);'],
    ] as const) {
      const manifest = { smoke, health: { timeoutSeconds: 0.2 } };
      await compare(probed, 30, manifest);
      const sums = await probes(30);
      const { requests, failures } = sums.get('candidate')!;
      expect({ what, requests, failures }).toEqual({ what, requests, failures: requests });
      expect(sums.get('twin')!.failures).toBe(0);
      await fixture.close();
      fixture = new HostFixture();
    }
  });

  it('are only sent where both say that they can answer them, and while both serve', async () => {
    await compare('', 100, { smoke: [check('/c')] });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(fixture.host.takeProbes()).toEqual([]);
  });

  it('without a twin go to stable as often as users do', async () => {
    const one = fixture.release('shop@1.0.0', module(''), { smoke });
    const two = fixture.release('shop@2.0.0', module(''), { smoke });
    await fixture.reach(one);
    await fixture.reach(one, { candidate: two, candidatePercent: 20 });
    fixture.apply(one, { candidate: two, candidatePercent: 20, probe: order(150) });
    const sums = await probes(150);
    expect([...sums.keys()].sort()).toEqual(['active', 'candidate']);
    expect(Math.abs(sums.get('candidate')!.requests - 30)).toBeLessThan(5 * Math.sqrt(150 * 0.16));
  });
});
