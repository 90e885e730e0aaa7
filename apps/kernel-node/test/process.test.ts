import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isReady } from '../../../tools/is-ready.js';
import { assignment, Fixture, NodeProcess, versioned, waitFor } from './node-fixture.js';

describe('the process', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.close());

  it('ends with 2 and every problem when its settings are wrong', async () => {
    const node = new NodeProcess({ HOTSWAP_ENVIRONMENT: 'Moon', PORT: 'x' });
    expect(await node.exited).toBe(2);
    for (const name of ['HOTSWAP_ENVIRONMENT', 'PORT', 'HOTSWAP_NODE_DIR']) expect(node.stderr).toContain(name);
  });

  it("ends with 1 on another environment's directory, and on a trust file that it can't use", async () => {
    const first = await fixture.startNode();
    await first.kill();
    await expect(fixture.startNode({ HOTSWAP_ENVIRONMENT: 'Production' })).rejects.toThrow('belongs to a node of QA');
    await writeFile(fixture.trustFile, '{}');
    await expect(fixture.startNode()).rejects.toThrow('trust.json');
  });

  it("logs a module's console lines under its name, and gives it its secrets", async () => {
    await mkdir(join(fixture.directory, 'secrets/greeter'), { recursive: true });
    await writeFile(join(fixture.directory, 'secrets/greeter/API_KEY'), 'sesame\n');
    const source = `export default { async fetch(request, env) {
      console.log('asked in', env.environment);
      return Response.json({ key: env.API_KEY, colour: env.colour });
    } };`;
    const one = await fixture.publish('greeter', '1.0.0', source, { configuration: { colour: 'red' } });
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode({ HOTSWAP_SECRETS_DIR: join(fixture.directory, 'secrets') });
    await node.ready();
    expect(await (await fetch(`${node.address}/greeter/`)).json()).toEqual({ key: 'sesame', colour: 'red' });
    const line = () => node.logs.find(({ source, module }) => source === 'module' && module === 'greeter@1.0.0');
    await waitFor('the line is there', () => line() !== undefined);
    expect(line()).toMatchObject({ level: 'info', msg: 'asked in QA', service: 'kernel-node' });
    expect(node.transcript()).not.toContain('sesame');
  });

  it.each([
    ['on a full disk', () => openSync('/dev/full', 'w')],
    ['in a pipe that nobody reads', () => openFullPipe(fixture.directory)],
  ])('serves on, and ends with 0 when told to, where its log has no room %s', async (_where, openFull) => {
    const full = openFull();
    const node = fixture.launchNode({}, full);
    closeSync(full);
    await waitFor('it is ready', async () => {
      const [join] = fixture.controlPlane.joins;
      return join !== undefined && isReady(join.request.address);
    });
    node.signal('SIGTERM');
    expect(await node.exited).toBe(0);
    expect(node.stderr).toBe('');
  });

  it('sends the spans of a load to the trace of the deployment that asked for it', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const spans: { name: string; traceId: string; parentSpanId: string }[] = [];
    const collector = createServer((request, response) => {
      void json(request).then((body) => {
        const { resourceSpans } = body as { resourceSpans: { scopeSpans: { spans: typeof spans }[] }[] };
        spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    try {
      const one = await fixture.publish('greeter', '1.0.0', versioned());
      const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
      fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one, { traceparent })] };
      const node = await fixture.startNode({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_BSP_SCHEDULE_DELAY: '200' });
      await node.ready();
      const isSent = (name: string) => spans.some((span) => span.name === name);
      await waitFor(
        'the spans are there',
        () => ['fetch', 'verify'].every(isSent),
        () => node.transcript(),
      );
      node.signal('SIGTERM');
      expect(await node.exited).toBe(0);
      expect(spans.map(({ name }) => name)).toEqual(expect.arrayContaining(['fetch', 'verify']));
      for (const span of spans) expect(span).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331' });
    } finally {
      collector.close();
    }
  });

  it('ends with 0 when told to, although nobody takes its last spans', async () => {
    const collector = createServer((request, response) => {
      request.resume();
      response.writeHead(400).end();
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    try {
      const one = await fixture.publish('greeter', '1.0.0', versioned());
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one, { traceparent })] };
      // Nothing is sent before the end.
      const node = await fixture.startNode({
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_BSP_SCHEDULE_DELAY: '600000',
      });
      await node.ready();
      node.signal('SIGTERM');
      expect([await node.exited, node.transcript()]).toEqual([0, expect.stringContaining('on the way out')]);
    } finally {
      collector.close();
    }
  });
});

/** Blocks who writes to it, as a pipe does for whom nobody has made it non-blocking. */
function openFullPipe(folder: string): number {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const filling = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  expect(() => writeFileSync(filling, Buffer.alloc(2 ** 20))).toThrow('EAGAIN');
  const full = openSync(path, constants.O_RDWR);
  closeSync(filling);
  return full;
}
