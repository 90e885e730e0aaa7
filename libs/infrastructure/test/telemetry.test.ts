import { afterEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const workspace = new URL('..', import.meta.url);
let collector: Server | undefined;

afterEach(() => {
  collector?.close();
  collector = undefined;
});

/** Serves two requests, a probe's first, in a process that preloads the telemetry, as the control plane does, and ends it when it `mayEnd`. */
async function serveTwo(
  endpoint: string | undefined,
  variables: NodeJS.ProcessEnv = {},
  mayEnd: Promise<unknown> = Promise.resolve(),
): Promise<{ code: number | null; output: string }> {
  const script = `
    import { createServer } from 'node:http';
    import { shutdownTelemetry } from '@hotswap/infrastructure/telemetry';
    const server = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1', async () => {
      const { port } = server.address();
      for (const path of ['/health/live', '/api/v1/deployments']) await (await fetch('http://127.0.0.1:' + port + path)).text();
      for await (const _ of process.stdin);
      server.closeAllConnections();
      server.close();
      await shutdownTelemetry();
      console.log('ended');
      process.exit();
    });`;
  const child = spawn(
    process.execPath,
    ['--import', '@hotswap/infrastructure/telemetry', '--input-type=module', '--eval', script],
    { cwd: workspace, env: { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...variables } },
  );
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const closed = once(child, 'close') as Promise<[number | null]>;
  await Promise.race([mayEnd, closed]);
  child.stdin.on('error', () => undefined).end();
  const [code] = await closed;
  return { code, output };
}

describe('telemetry', () => {
  it('is off without an endpoint', async () => {
    expect(await serveTwo(undefined)).toEqual({ code: 0, output: 'ended\n' });
  });

  it('breaks nothing when the collector is away', async () => {
    const { code, output } = await serveTwo('http://127.0.0.1:9');
    expect(code).toBe(0);
    expect(output).toContain('ended');
  });

  it('waits for a collector that never answers no longer than its deadline', async () => {
    collector = createServer(() => undefined);
    await new Promise<void>((resolve) => collector!.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    const { code, output } = await serveTwo(`http://127.0.0.1:${port}`, { OTEL_EXPORTER_OTLP_TIMEOUT: '600000' });
    collector.closeAllConnections();
    expect(code).toBe(0);
    expect(output).toContain('ended');
  });

  it('sends the spans of requests, without those of probes', async () => {
    let sent = Buffer.alloc(0);
    const { promise: hasCome, resolve } = Promise.withResolvers<void>();
    collector = createServer((request, response) => {
      request.on('data', (chunk: Buffer) => (sent = Buffer.concat([sent, chunk])));
      request.on('end', () => {
        response.end();
        if (sent.includes('/api/v1/deployments')) resolve();
      });
    });
    await new Promise<void>((resolve) => collector!.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    // Sent while the process lives: what is left at its end has a second, in which a busy machine may do nothing.
    const { code } = await serveTwo(`http://127.0.0.1:${port}`, { OTEL_BSP_SCHEDULE_DELAY: '100' }, hasCome);
    expect(code).toBe(0);
    const text = sent.toString('latin1');
    expect(text).toContain('orchestrator-api');
    expect(text).toContain('/api/v1/deployments');
    expect(text).not.toContain('/health/live');
  });
});
