import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, writeTrustFile } from './start-control-plane.js';

export type Environment = 'Development' | 'QA' | 'Staging' | 'Production';

const main = join(import.meta.dirname, '..', '..', 'kernel-node', 'dist', 'main.js');

/** A kernel node as its supervisor has it; its directory outlives its processes. */
export class TestNode {
  readonly directory = mkdtempSync(join(tmpdir(), 'hotswap-node-'));
  private child: ChildProcess | null = null;
  private said = '';
  private exited: Promise<number | null> = Promise.resolve(null);

  private constructor(
    private readonly orchestratorUrl: string,
    private readonly environment: Environment,
    private readonly variables: Record<string, string>,
  ) {}

  /** One that listens. */
  static async start(
    orchestratorUrl: string,
    environment: Environment,
    variables: Record<string, string> = {},
  ): Promise<TestNode> {
    const node = new TestNode(orchestratorUrl, environment, variables);
    node.launch();
    await eventually(
      async () => node.address !== null,
      () => `the node listens: ${node.output}`,
    );
    return node;
  }

  /** Starts a process on its directory, also when one has ended there. */
  launch(): void {
    this.said = '';
    const child = spawn(process.execPath, [main], {
      env: {
        PATH: process.env['PATH'],
        HOTSWAP_ORCHESTRATOR_URL: this.orchestratorUrl,
        HOTSWAP_ENVIRONMENT: this.environment,
        HOTSWAP_NODE_DIR: join(this.directory, 'node'),
        HOTSWAP_TRUST_FILE: writeTrustFile(this.directory),
        HOTSWAP_LAME_DUCK_SECONDS: '0.5',
        ...this.variables,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    this.exited = once(child, 'close').then(([code]) => code as number | null);
    this.child = child;
  }

  get output(): string {
    return this.said;
  }

  /** Where it says it is reached; null: it does not listen yet. */
  get address(): string | null {
    return /"address":"(http:[^"]+)"/.exec(this.said)?.[1] ?? null;
  }

  get id(): string {
    return /"node":"([^"]+)"/.exec(this.said)![1]!;
  }

  /** Its exit code, once it has ended by itself. */
  get exitCode(): Promise<number | null> {
    return this.exited;
  }

  /** Ends its process; answers its exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child?.kill(signal);
    return this.exited;
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
