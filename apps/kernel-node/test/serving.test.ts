import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NodeReport } from '@hotswap/agent-protocol';
import { LoadClient } from './load-client.js';
import { assignment, Fixture, versioned, waitFor } from './node-fixture.js';

describe('a node that serves', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.close());

  it('serves the module of its document and reports it', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned(), { configuration: { colour: 'red' } });
    fixture.controlPlane.document = { epoch: 1, revision: 7, modules: [assignment(one)] };
    const node = await fixture.startNode({ HOTSWAP_ZONE: 'attic' });
    await node.ready();

    const response = await fetch(`${node.address}/greeter/some/path?x=1`);
    expect(response.headers.get('x-hotswap-module')).toBe('greeter@1.0.0');
    expect(await response.json()).toEqual({ version: '1.0.0', path: '/some/path' });

    const [join] = fixture.controlPlane.joins;
    expect(join?.request).toMatchObject({ address: node.address, environment: 'QA', pid: node.pid, zone: 'attic' });
    await waitFor('a report is Ready', () => fixture.controlPlane.latest?.state === 'Ready');
    expect(fixture.controlPlane.latest).toMatchObject({ accepted: { epoch: 1, revision: 7 }, refused: null });
    expect(fixture.controlPlane.latest?.modules[0]).toMatchObject({ module: 'greeter', active: one.digest });
    expect(fixture.controlPlane.latest?.process.rssBytes).toBeGreaterThan(1e6);
  });

  it('swaps under load without a failed request, and tells exactly what its clients saw', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    const two = await fixture.publish('greeter', '2.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode();
    await node.ready();

    const client = new LoadClient(`${node.address}/greeter/`, 8);
    await waitFor('the old release answers', () => (client.answers.get('greeter@1.0.0') ?? 0) > 50);
    fixture.controlPlane.assign({ epoch: 1, revision: 2, modules: [assignment(two, { warm: [one] })] });
    await waitFor(
      'the new release answers',
      () => (client.answers.get('greeter@2.0.0') ?? 0) > 50,
      () => node.transcript(),
    );
    fixture.controlPlane.assign({ epoch: 1, revision: 3, modules: [assignment(one, { warm: [two] })] });
    const before = client.answers.get('greeter@1.0.0') ?? 0;
    await waitFor('the old release is back', () => (client.answers.get('greeter@1.0.0') ?? 0) > before + 50);
    await client.stop();

    expect(client.problems).toEqual([]);
    await waitFor('all is reported', () => sumOf(fixture.controlPlane.reports) === client.answerCount);
    const scrape = async () => (await fetch(`${node.address}/metrics`)).text();
    const metrics = await scrape();
    for (const [release, count] of client.answers) {
      const [module, version] = release.split('@');
      expect(sumOf(fixture.controlPlane.reports, version)).toBe(count);
      expect(metrics).toContain(`hotswap_requests_total{module="${module}",version="${version}"} ${count}`);
      expect(metrics).toContain(
        `hotswap_request_duration_seconds_count{module="${module}",version="${version}"} ${count}`,
      );
    }
    expect(metrics).toContain('hotswap_swaps_total{module="greeter"} 3');
    expect(metrics).toContain('hotswap_node_state{state="Ready"} 1');
    expect(metrics).toContain('hotswap_phase_duration_seconds_count{module="greeter",phase="activate"} 3');
    expect(metrics).toMatch(/hotswap_memory_taken_bytes\{role="active"\} [1-9]/);
    const { modules, memory } = fixture.controlPlane.latest!;
    expect(modules[0]?.lastSwap).toMatchObject({ release: one.digest, from: two.digest, began: 'waiting', cut: 0 });
    expect(modules[0]?.instances[0]?.phaseSeconds).toMatchObject({ load: expect.any(Number) });
    expect(memory!.takenBytes).toBeGreaterThan(2 * 176 * 2 ** 20 - 1);
    const histogram = fixture.controlPlane.reports.flatMap(({ traffic }) => traffic.flatMap(({ latency }) => latency));
    expect(histogram.reduce((sum, count) => sum + count, 0)).toBe(client.answerCount);

    const memoryOf = (version: string) =>
      `hotswap_instance_resident_memory_bytes{module="greeter",version="${version}"}`;
    await waitFor('the warm release has memory', async () => (await scrape()).includes(memoryOf('2.0.0')));
    fixture.controlPlane.assign({ epoch: 1, revision: 4, modules: [assignment(one)] });
    await waitFor('what has gone has none', async () => !(await scrape()).includes(memoryOf('2.0.0')));
    expect(await scrape()).toContain(memoryOf('1.0.0'));
    expect(await scrape()).toContain('hotswap_requests_total{module="greeter",version="2.0.0"}');
  });

  it('holds what it has no memory for, and says so with the numbers', async () => {
    const [one, two] = [
      await fixture.publish('one', '1.0.0', versioned()),
      await fixture.publish('two', '1.0.0', versioned()),
    ];
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode({ HOTSWAP_MEMORY_MIB: '300', HOTSWAP_SPARES: '0' });
    await node.ready();
    fixture.controlPlane.assign({ epoch: 1, revision: 2, modules: [assignment(one), assignment(two)] });
    const held = () => fixture.controlPlane.latest?.modules.find(({ module }) => module === 'two')?.instances[0];
    await waitFor('it is held', () => held()?.state === 'Failed');
    expect(held()).toMatchObject({
      failureKind: 'memory',
      error: "No room for two@1.0.0 as active: it needs 176 MiB; of the node's 300 MiB 176 are taken (active 176).",
    });
    expect((await fetch(`${node.address}/one/`)).status).toBe(200);
  });

  it('takes a module off where the document says so, and leaves one it does not mention', async () => {
    const one = await fixture.publish('one', '1.0.0', versioned());
    const two = await fixture.publish('two', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one), assignment(two)] };
    const node = await fixture.startNode();
    await node.ready();

    fixture.controlPlane.assign({ epoch: 1, revision: 2, modules: [{ ...assignment(one), active: null }] });
    await waitFor('one is gone', async () => (await fetch(`${node.address}/one/`)).status === 404);
    expect((await fetch(`${node.address}/two/`)).status).toBe(200);
    expect((await fetch(`${node.address}/health/ready`)).status).toBe(200);
  });

  it('leaves traffic politely on SIGTERM: no failed request, a last report, exit 0', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode({ HOTSWAP_LAME_DUCK_SECONDS: '10' });
    await node.ready();
    const client = new LoadClient(`${node.address}/greeter/`, 4);
    await waitFor('there is traffic', () => client.answerCount > 50);

    node.signal('SIGTERM');
    // What a balancer does: it asks, and sends nothing more once readiness fails.
    await waitFor('readiness fails', async () => (await fetch(`${node.address}/health/ready`)).status === 503);
    const during = client.answerCount;
    const last = await fetch(`${node.address}/greeter/`);
    expect(last.status).toBe(200);
    expect(last.headers.get('connection')).toBe('close');
    await last.arrayBuffer();
    await waitFor('it still serves', () => client.answerCount > during);
    await client.stop();

    expect(await node.exited).toBe(0);
    expect(client.problems).toEqual([]);
    const told = new Set(fixture.controlPlane.reports.map(({ state }) => state));
    expect([...told].filter((state) => state !== 'Starting')).toEqual(['Ready', 'LameDuck', 'Draining', 'Gone']);
    expect(sumOf(fixture.controlPlane.reports)).toBe(client.answerCount + 1);
  });

  it('lets a request in flight end before it goes, and a second signal cuts it short', async () => {
    const slow = `export default { async fetch(request) {
      const seconds = Number(new URL(request.url).searchParams.get('seconds'));
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      return new Response('done');
    } };`;
    const one = await fixture.publish('slow', '1.0.0', slow);
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const first = await fixture.startNode({ HOTSWAP_LAME_DUCK_SECONDS: '0' });
    await first.ready();
    const answer = fetch(`${first.address}/slow/?seconds=3`).then((response) => response.text());
    await waitFor('it is in flight', () => isInFlight(fixture.controlPlane.latest));
    first.signal('SIGTERM');
    expect(await answer).toBe('done');
    expect(await first.exited).toBe(0);

    const second = await fixture.startNode({ HOTSWAP_LAME_DUCK_SECONDS: '600', HOTSWAP_DRAIN_SECONDS: '600' });
    await second.ready();
    const cut = fetch(`${second.address}/slow/?seconds=25`).then(
      (response) => response.status,
      () => 'broken off',
    );
    await waitFor('it is in flight', () => isInFlight(fixture.controlPlane.latest));
    second.signal('SIGTERM');
    await waitFor('it is a lame duck', () => fixture.controlPlane.latest?.state === 'LameDuck');
    second.signal('SIGTERM');
    expect(await second.exited).toBe(0);
    expect(await cut).toBe('broken off');
  });
});

function sumOf(reports: readonly NodeReport[], version?: string): number {
  const samples = reports.flatMap(({ traffic }) => traffic);
  return samples
    .filter((sample) => version === undefined || sample.version === version)
    .reduce((sum, { requests }) => sum + requests, 0);
}

function isInFlight(report: NodeReport | undefined): boolean {
  return report?.traffic.some(({ inFlight }) => inFlight > 0) ?? false;
}
