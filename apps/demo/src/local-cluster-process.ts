import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const startSeconds = 180;
const outputCharactersMax = 20_000;
const healthyLine = 'Every cluster is Healthy';

/** What `npm start` runs, on a free port and in a folder of its own that goes with it. */
export class LocalClusterProcess {
  private said = '';

  private constructor(
    private readonly launcher: ChildProcess,
    private readonly dataDirectory: string,
    readonly url: string,
  ) {
    for (const stream of [launcher.stdout, launcher.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said = (this.said + text).slice(-outputCharactersMax);
      });
  }

  /** @throws Error with what the launcher said, when it ends or takes more than three minutes; nothing runs then */
  static async start(): Promise<LocalClusterProcess> {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'hotswap-demo-'));
    // Postgres runs as another user when this one is root, and has to get in.
    chmodSync(dataDirectory, 0o755);
    const port = await freePort();
    const entry = join(import.meta.dirname, '..', '..', 'local-cluster', 'dist', 'main.js');
    const launcher = spawn(process.execPath, [entry], {
      env: { ...process.env, PORT: String(port), HOTSWAP_DATA_DIR: dataDirectory, HOTSWAP_EXAMPLES: 'on' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const cluster = new LocalClusterProcess(launcher, dataDirectory, `http://127.0.0.1:${port}`);
    const deadline = Date.now() + startSeconds * 1000;
    while (!cluster.said.includes(healthyLine)) {
      if (launcher.exitCode !== null || Date.now() > deadline) {
        await cluster.stop();
        throw new Error(`The local cluster did not start. It said:\n${cluster.said}`);
      }
      await delay(200);
    }
    return cluster;
  }

  /** As Ctrl-C does. */
  async stop(): Promise<void> {
    if (this.launcher.exitCode === null && this.launcher.signalCode === null) {
      const exited = once(this.launcher, 'exit');
      this.launcher.kill('SIGINT');
      await exited;
    }
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
