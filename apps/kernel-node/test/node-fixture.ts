import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JsonObject, ModuleAssignment, ReleaseSpec } from '@hotswap/agent-protocol';
import { generateKeyPair, packModule, signArtifact } from '@hotswap/module-kit';
import { TestControlPlane } from './test-control-plane.js';

const main = join(import.meta.dirname, '../dist/main.js');
const trusted = generateKeyPair('release');
const stranger = generateKeyPair('stranger');

/** A folder, a control plane and the node processes of one test; `close` ends what is left. */
export class Fixture {
  readonly nodes: NodeProcess[] = [];

  private constructor(
    readonly directory: string,
    readonly controlPlane: TestControlPlane,
  ) {}

  static async create(): Promise<Fixture> {
    const directory = await mkdtemp(join(tmpdir(), 'kernel-node-'));
    const fixture = new Fixture(directory, await new TestControlPlane().start());
    await writeFile(
      fixture.trustFile,
      JSON.stringify({
        trust: 1,
        keys: [{ id: trusted.id, publicKey: trusted.publicKeyPem }],
        rules: [{ modules: '*', environments: ['QA'], keys: [trusted.id], signatures: 1 }],
      }),
    );
    return fixture;
  }

  get trustFile(): string {
    return join(this.directory, 'trust.json');
  }

  /** A node that listens. All of one test share a directory, and are one node. */
  async startNode(env: Record<string, string> = {}): Promise<NodeProcess> {
    const node = this.launchNode(env);
    await node.listening();
    return node;
  }

  /** One that may not come to listen. `stdout` is a file descriptor; without it the node's log is read. */
  launchNode(env: Record<string, string> = {}, stdout?: number): NodeProcess {
    const variables = {
      HOTSWAP_ORCHESTRATOR_URL: this.controlPlane.url,
      HOTSWAP_ENVIRONMENT: 'QA',
      HOTSWAP_NODE_DIR: join(this.directory, 'node'),
      HOTSWAP_TRUST_FILE: this.trustFile,
      HOTSWAP_LAME_DUCK_SECONDS: '0.2',
      ...env,
    };
    const node = new NodeProcess(variables, stdout);
    this.nodes.push(node);
    return node;
  }

  /** Packs, signs and publishes a module whose handler is `source`; `signer: null` leaves it unsigned. */
  async publish(
    name: string,
    version: string,
    source: string,
    options: { manifest?: JsonObject; signer?: 'release' | 'stranger' | null; configuration?: JsonObject } = {},
  ): Promise<ReleaseSpec> {
    const directory = join(this.directory, 'modules', `${name}-${version}`);
    await mkdir(join(directory, 'dist'), { recursive: true });
    const hotswap = { manifest: 1, entry: 'dist/module.js', kernel: '^1.0.0', ...options.manifest };
    await writeFile(join(directory, 'package.json'), JSON.stringify({ name, version, type: 'module', hotswap }));
    await writeFile(join(directory, 'dist/module.js'), source);
    const { bytes, digest } = await packModule(directory);
    const { signer = 'release' } = options;
    const key = signer === 'stranger' ? stranger : trusted;
    const bundles = signer === null ? [] : [signArtifact({ name, version, digest }, key.privateKeyPem, key.id)];
    this.controlPlane.artifacts.set(digest, { bytes, bundles });
    const configuration = options.configuration ?? {};
    const release = createHash('sha256').update(digest).update(JSON.stringify(configuration)).digest('hex');
    return {
      digest: `sha256:${release}`,
      module: name,
      version,
      artifact: digest,
      configurationRevision: 1,
      configuration,
    };
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.kill();
    await this.controlPlane.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A node as its supervisor has it: `node apps/kernel-node/dist/main.js`. */
export class NodeProcess {
  readonly logs: Record<string, unknown>[] = [];
  readonly exited: Promise<number | null>;
  private readonly child: ChildProcess;
  private errors = '';
  private exitCode: number | null | undefined;

  constructor(env: Record<string, string>, stdout: number | 'pipe' = 'pipe') {
    const { PATH = '' } = process.env;
    this.child = spawn(process.execPath, [main], { env: { PATH, ...env }, stdio: ['ignore', stdout, 'pipe'] });
    let rest = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.logs.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    this.exited = new Promise((resolve) => {
      this.child.on('close', (code) => {
        this.exitCode = code;
        resolve(code);
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get stderr(): string {
    return this.errors;
  }

  /** Where it says it is reached. */
  get address(): string {
    return this.logs.find(({ msg }) => msg === 'listening')?.address as string;
  }

  get hostAndPort(): { host: string; port: number } {
    const { hostname, port } = new URL(this.address);
    return { host: hostname, port: Number(port) };
  }

  async listening(): Promise<void> {
    await waitFor('the node listens or ended', () => this.address !== undefined || this.exitCode !== undefined);
    if (this.exitCode !== undefined) throw new Error(`the node ended with ${this.exitCode}: ${this.transcript()}`);
  }

  async ready(): Promise<void> {
    await waitFor(
      'the node is ready',
      async () => (await fetch(`${this.address}/health/ready`)).status === 200,
      () => this.transcript(),
    );
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    if (this.exitCode === undefined) this.signal('SIGKILL');
    await this.exited;
  }

  transcript(): string {
    return `${this.errors}\n${this.logs.map((line) => JSON.stringify(line)).join('\n')}`;
  }
}

export function assignment(active: ReleaseSpec, rest: Partial<ModuleAssignment> = {}): ModuleAssignment {
  return {
    module: active.module,
    active,
    candidate: null,
    candidatePercent: 0,
    warm: [],
    fallback: null,
    policy: { warmSeconds: 60, drainSeconds: 5 },
    traceparent: null,
    ...rest,
  };
}

/** Looks every 20 ms, for 30 s at most; a condition that throws is looked at again. */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  explain: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    let thrown: unknown;
    try {
      if (await condition()) return;
    } catch (error) {
      thrown = error;
    }
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what} ${explain()}`, { cause: thrown });
    await delay(20);
  }
}

/** A module that answers with its version. */
export function versioned(extra = ''): string {
  return `export default {
    async fetch(request, env) { return Response.json({ version: env.version, path: new URL(request.url).pathname }); },
    ${extra}
  };`;
}
