import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../tools/free-port.js';
import { isReady } from '../../tools/is-ready.js';
import { waitFor } from './wait-for.js';

export const hasHaproxy = spawnSync('haproxy', ['-v']).status === 0;

/** An HAProxy over nodes, as people run it: it goes by what their /health/ready says. No request is tried a second time. */
export class LoadBalancer {
  private constructor(
    readonly address: string,
    private readonly process: ChildProcess,
    private readonly directory: string,
  ) {}

  /** @param nodes addresses such as http://127.0.0.1:7301 */
  static async start(nodes: readonly string[]): Promise<LoadBalancer> {
    const directory = mkdtempSync(join(tmpdir(), 'hotswap-haproxy-'));
    const file = join(directory, 'haproxy.cfg');
    const port = await freePort();
    writeFileSync(file, configuration(port, nodes));
    const child = spawn('haproxy', ['-db', '-q', '-f', file], { stdio: ['ignore', 'inherit', 'inherit'] });
    const balancer = new LoadBalancer(`http://127.0.0.1:${port}`, child, directory);
    try {
      await waitFor('HAProxy to pass requests on', () => isReady(balancer.address));
    } catch (error) {
      await balancer.stop();
      throw error;
    }
    return balancer;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const exited = once(this.process, 'exit');
      this.process.kill('SIGTERM');
      await exited;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function configuration(port: number, nodes: readonly string[]): string {
  return `
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout check 2s
  retries 0

frontend traffic
  bind 127.0.0.1:${port}
  default_backend nodes

backend nodes
  balance roundrobin
  option httpchk GET /health/ready
  http-check expect status 200
  default-server check inter 250ms fall 1 rise 1
${nodes.map((node, index) => `  server node-${index + 1} ${new URL(node).host}`).join('\n')}
`;
}
