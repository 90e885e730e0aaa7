import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readPidFile } from '../../apps/local-cluster/src/supervisor/pid-file.js';
import { isRunning, type ProcessIdentity } from '../../apps/local-cluster/src/supervisor/process-identity.js';
import { freePort } from '../../tools/free-port.js';
import { waitFor } from './wait-for.js';

// From where npm runs: a bench has this file in a bundle of its own.
const entry = join(process.cwd(), 'apps', 'local-cluster', 'dist', 'main.js');
const outputCharactersMax = 200_000;
/** That any test has in one cluster. */
const nodesMax = 20;

export type Environment = 'Development' | 'QA' | 'Staging' | 'Production';

export interface LocalClusterOptions {
  /** Kept by stop(), so that a later start resumes it; without it a temporary one is made, and removed by stop(). */
  dataDirectory?: string;
  /** Variables of npm start, over the test's own. */
  env?: NodeJS.ProcessEnv;
  /** What to wait for; the default is every cluster Healthy. */
  until?: 'healthy' | 'ready';
  deadlineSeconds?: number;
}

/** An answer, read whole; `body` is the JSON, or the text where it is none. */
export interface Answer<Body> {
  status: number;
  headers: Headers;
  body: Body;
}

/** What the tests read of a node; the contract has more. */
export interface ClusterNode {
  id: string;
  address: string;
  state: string;
  pid: number;
  modules: { name: string; activeVersion: string | null; candidateVersion: string | null; state: string }[];
}

/**
 * Runs the launcher (what `npm start` runs once built) as a process, on free ports, and waits for its clusters.
 * @throws Error with what the launcher said when it ends or takes too long; nothing is left running then
 */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  const temporary = options.dataDirectory === undefined;
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'hotswap-e2e-'));
  // Postgres runs as another user when the tests run as root, and has to get in.
  if (temporary) chmodSync(dataDirectory, 0o755);
  const port = await freePort();
  const own = {
    PORT: String(port),
    HOTSWAP_NODE_PORT_BASE: String(await freePort(nodesMax)),
    HOTSWAP_DATA_DIR: dataDirectory,
  };
  const child = spawn(process.execPath, [entry], {
    env: { ...inherited(), ...own, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const cluster = new LocalCluster(child, dataDirectory, temporary, port, options.env?.['HOTSWAP_API_TOKEN'] ?? null);
  const line = options.until === 'ready' ? 'HotSwap is ready' : 'Every cluster is Healthy';
  try {
    await waitFor(`"${line}"`, () => cluster.output.includes(line) || cluster.hasEnded, {
      deadlineSeconds: options.deadlineSeconds ?? 120,
    });
    if (cluster.hasEnded) throw new Error(`The launcher ended with code ${child.exitCode}`);
  } catch (error) {
    const said = cluster.output;
    try {
      await cluster.killEverything();
      if (temporary) remove(dataDirectory);
    } catch {
      // What the launcher said tells more than that something of it is left.
    }
    throw new Error(`${(error as Error).message}. The launcher said:\n${said}`, { cause: error });
  }
  return cluster;
}

/** A running launcher with everything it supervises. */
export class LocalCluster {
  readonly url: string;
  private said = '';

  constructor(
    private readonly launcher: ChildProcess,
    readonly dataDirectory: string,
    private readonly temporary: boolean,
    readonly port: number,
    private readonly apiToken: string | null,
  ) {
    this.url = `http://127.0.0.1:${port}`;
    for (const stream of [launcher.stdout, launcher.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said = (this.said + text).slice(-outputCharactersMax);
      });
    }
  }

  /** What the launcher has printed so far. */
  get output(): string {
    return this.said;
  }
  get hasEnded(): boolean {
    return this.launcher.exitCode !== null || this.launcher.signalCode !== null;
  }
  get launcherPid(): number {
    return this.launcher.pid ?? 0;
  }

  /** Path as in `/api/v1/clusters`, or a whole URL such as a node's. */
  async get<Body>(path: string, headers: Record<string, string> = {}): Promise<Answer<Body>> {
    return this.call<Body>('GET', path, undefined, headers);
  }
  async post<Body>(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<Body>> {
    return this.call<Body>('POST', path, body, headers);
  }
  async put<Body>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer<Body>> {
    return this.call<Body>('PUT', path, body, headers);
  }

  async delete<Body>(path: string): Promise<Answer<Body>> {
    return this.call<Body>('DELETE', path, undefined, {});
  }

  /** The environment's nodes, as the API sees them now. */
  async nodes(environment: Environment): Promise<ClusterNode[]> {
    return (await this.get<{ nodes: ClusterNode[] }>(`/api/v1/clusters/${environment}`)).body.nodes;
  }

  async addresses(environment: Environment): Promise<string[]> {
    return (await this.nodes(environment)).map(({ address }) => address);
  }
  /** What each of the environment's nodes gives its requests to. */
  async activeVersions(environment: Environment, module: string): Promise<(string | null)[]> {
    const nodes = await this.nodes(environment);
    return nodes.map(({ modules }) => modules.find(({ name }) => name === module)?.activeVersion ?? null);
  }

  /** Pids by process name (`postgres`, `orchestrator-api`, `kernel-node-qa-1`, …), from the pid files. */
  pids(): Map<string, number> {
    return new Map([...processesIn(this.dataDirectory)].map(([name, { pid }]) => [name, pid]));
  }
  /** @throws Error when there is no such process */
  pid(name: string): number {
    const pid = this.pids().get(name);
    if (pid === undefined) throw new Error(`There is no process ${name}, only ${[...this.pids().keys()].join(', ')}`);
    return pid;
  }

  /** SIGKILL for one of the supervised processes; the launcher starts it again. */
  kill(name: string): void {
    process.kill(this.pid(name), 'SIGKILL');
  }

  /** Stops the launcher from noticing anything, so that nothing is started again, until it is let go. */
  holdLauncher(): void {
    this.launcher.kill('SIGSTOP');
  }
  letLauncherGo(): void {
    this.launcher.kill('SIGCONT');
  }

  /** Ends it as Ctrl-C does; answers the launcher's exit code. Calling it again does nothing. */
  async stop(): Promise<number | null> {
    if (!this.hasEnded) {
      const exited = once(this.launcher, 'exit');
      this.letLauncherGo();
      this.launcher.kill('SIGINT');
      await exited;
    }
    if (this.temporary) remove(this.dataDirectory);
    return this.launcher.exitCode;
  }

  /** SIGKILL for the launcher alone, which leaves everything else running. */
  async killLauncher(): Promise<void> {
    if (this.hasEnded) return;
    const exited = once(this.launcher, 'exit');
    this.launcher.kill('SIGKILL');
    await exited;
  }

  /** SIGKILL for the launcher, then for exactly the processes that its pid files name; as a power cut, the data stays. */
  async killEverything(): Promise<void> {
    await this.killLauncher();
    const processes = [...processesIn(this.dataDirectory).values()].filter(isRunning);
    processes.forEach(end);
    await waitFor('the end of every process', () => !processes.some(isRunning));
  }

  private async call<Body>(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Answer<Body>> {
    const authorization: Record<string, string> =
      this.apiToken === null ? {} : { authorization: `Bearer ${this.apiToken}` };
    const contentType: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(new URL(path, this.url), {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { ...authorization, ...contentType, ...headers },
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    let parsed: unknown = text;
    try {
      parsed = JSON.parse(text);
    } catch {
      // Not JSON: the text itself.
    }
    return { status: response.status, headers: response.headers, body: parsed as Body };
  }
}

function inherited(): NodeJS.ProcessEnv {
  const own = /^(HOTSWAP_|npm_|JEST_|NODE_OPTIONS$)|^(DATABASE_URL|PORT|HOST|LOG_LEVEL|OTEL_EXPORTER_OTLP_ENDPOINT)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
}

function processesIn(dataDirectory: string): Map<string, ProcessIdentity> {
  const files = globSync(join(dataDirectory, 'run', '*.pid'));
  return new Map(
    files.flatMap((file) => {
      const identity = readPidFile(file);
      return identity ? [[basename(file, '.pid'), identity]] : [];
    }),
  );
}

/** Nothing is done where it has ended meanwhile. */
function end({ pid }: ProcessIdentity): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** What a process still writes, having been told to end, may come in between. */
function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
