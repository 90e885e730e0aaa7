import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from './wait-for.js';

export const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;

/** A Prometheus that scrapes these `host:port` once a second, as people run it. */
export class PrometheusServer {
  private constructor(
    readonly address: string,
    private readonly process: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(port: number, targets: readonly string[]): Promise<PrometheusServer> {
    const directory = mkdtempSync(join(tmpdir(), 'hotswap-prometheus-'));
    const file = join(directory, 'prometheus.json');
    // YAML has JSON in it.
    const configuration = {
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'nodes', static_configs: [{ targets }] }],
    };
    writeFileSync(file, JSON.stringify(configuration));
    const child = spawn(
      'prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const server = new PrometheusServer(`http://127.0.0.1:${port}`, child, directory);
    try {
      await waitFor('Prometheus to have scraped all', async () => (await server.count('up == 1')) === targets.length);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Series that the query answers now. */
  async count(query: string): Promise<number> {
    const url = `${this.address}/api/v1/query?query=${encodeURIComponent(query)}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return ((await answer.json()) as { data: { result: unknown[] } }).data.result.length;
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
