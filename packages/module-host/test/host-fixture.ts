import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type {
  InstanceReport,
  ModuleAssignment,
  ModuleReport,
  ReleaseSpec,
  TrafficSample,
} from '@hotswap/agent-protocol';
import type { Manifest } from '@hotswap/module-kit';
import {
  encloseIn,
  LoadError,
  ModuleHost,
  readBody,
  replyOf,
  type HostRequest,
  type HostResponse,
  type HostTiming,
  type ModuleHostOptions,
  type ModuleLogEntry,
} from '../src/index.js';

type ManifestParts = Partial<Omit<Manifest, 'limits' | 'permissions' | 'health'>> & {
  limits?: Partial<Manifest['limits']>;
  permissions?: Partial<Manifest['permissions']>;
  health?: Partial<Manifest['health']>;
};

type SendInit = Partial<Omit<HostRequest, 'url' | 'body' | 'headers'>> & {
  headers?: [string, string][];
  body?: AsyncIterable<Uint8Array> | null;
};

export interface Answer {
  status: number;
  headers: [string, string][];
  text: string;
  release: string;
}

/** Answers with its version; the base of most modules in these tests. */
export const plainModule = `export default { fetch: (request, env) => Response.json({ version: env.version, pid: process.pid }) };`;

/** A host on real processes, with modules written to a temporary folder. */
export class HostFixture {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'hotswap-module-host-')));
  /** The same folder by another path: a node's data may lie behind a link. */
  readonly linkedFolder = `${this.folder}-link`;
  readonly logs: ModuleLogEntry[] = [];
  readonly loads: string[] = [];
  readonly host: ModuleHost;
  secretsDirectory: string | null = null;
  /** What fetching a release answers instead, by digest. */
  readonly refusals = new Map<string, LoadError>();
  #manifests = new Map<string, Manifest>();

  constructor(timing: Partial<HostTiming> = {}, options: Partial<ModuleHostOptions> = {}) {
    symlinkSync(this.folder, this.linkedFolder);
    this.host = new ModuleHost({
      log: (entry) => this.logs.push(entry),
      onChange: () => undefined,
      enclose: encloseIn(join(this.folder, '.instances')),
      ...options,
      load: async (spec) => {
        this.loads.push(`${spec.module}@${spec.version}`);
        const refusal = this.refusals.get(spec.digest);
        if (refusal !== undefined) throw refusal;
        return {
          spec,
          manifest: this.#manifests.get(spec.digest)!,
          directory: join(this.linkedFolder, spec.module, spec.version),
          environment: 'QA',
          node: 'node-1',
          secretsDirectory: this.secretsDirectory,
        };
      },
      timing: { retrySeconds: 0.2, ...timing },
    });
  }

  directoryOf(spec: ReleaseSpec): string {
    return join(this.folder, spec.module, spec.version);
  }

  release(name: string, source = plainModule, manifest: ManifestParts = {}, configuration = {}): ReleaseSpec {
    const [module = '', version = ''] = name.split('@');
    const digest = `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)}`;
    const spec = { digest, module, version, artifact: digest, configurationRevision: 1, configuration };
    const directory = this.directoryOf(spec);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(directory, 'module.js'), source);
    this.#manifests.set(digest, {
      manifest: 1,
      kernel: '*',
      isolation: 'process',
      entry: 'module.js',
      route: module,
      smoke: [],
      ...manifest,
      limits: { memoryMiB: 64, requestSeconds: 30, requestBodyMiB: 10, inFlight: 1000, ...manifest.limits },
      permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false, ...manifest.permissions },
      health: { path: null, timeoutSeconds: 5, ...manifest.health },
    });
    return spec;
  }

  manifestOf(spec: ReleaseSpec): Manifest {
    return this.#manifests.get(spec.digest)!;
  }

  apply(active: ReleaseSpec | null, more: Partial<ModuleAssignment> = {}): void {
    this.host.apply([
      {
        module: active?.module ?? more.module ?? '',
        active,
        candidate: null,
        candidatePercent: 0,
        warm: [],
        fallback: null,
        traceparent: null,
        ...more,
        policy: { warmSeconds: 900, drainSeconds: 10, ...more.policy },
      },
    ]);
  }

  /** Applies and waits until everything is reached or failed. */
  async reach(active: ReleaseSpec | null, more: Partial<ModuleAssignment> = {}): Promise<void> {
    this.apply(active, more);
    await this.until('settled', () => this.host.settled);
  }

  send(route: string, path = '/', { body = null, headers = [], ...init }: SendInit = {}): Promise<HostResponse> {
    const request: HostRequest = {
      method: 'GET',
      signal: new AbortController().signal,
      ...init,
      headers: headers.flatMap(([name, value]) => [name.toLowerCase(), value]),
      body: body && Readable.from(body),
      url: `http://localhost${path}`,
    };
    return replyOf((reply) => this.host.handle(route, request, reply));
  }

  async get(route: string, path = '/', init: Parameters<HostFixture['send']>[2] = {}): Promise<Answer> {
    const { status, headers, body, release } = await this.send(route, path, init);
    const pairs = headers.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, headers[at + 1]!]] : []));
    return { status, headers: pairs, release, text: (await readBody({ body })).toString('utf8') };
  }

  async json<T = { version: string; pid: number }>(route: string, path = '/'): Promise<T> {
    return JSON.parse((await this.get(route, path)).text) as T;
  }

  report(module: string): ModuleReport {
    const report = this.host.reports().find((candidate) => candidate.module === module);
    if (report === undefined) throw new Error(`No report of ${module}.`);
    return report;
  }

  instance(spec: ReleaseSpec): InstanceReport | undefined {
    return this.host
      .reports()
      .flatMap((report) => report.instances)
      .find((instance) => instance.release === spec.digest);
  }

  traffic(spec: ReleaseSpec): TrafficSample | undefined {
    return this.host.takeTraffic().find((sample) => sample.release === spec.digest);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 40_000;
    while (!condition()) {
      if (performance.now() > deadline)
        throw new Error(
          `Not reached: ${what}. ${JSON.stringify(this.host.reports())} ${JSON.stringify(this.logs.slice(-10))}`,
        );
      await pause(10);
    }
  }

  async close(): Promise<void> {
    await this.host.close(1);
    rmSync(this.linkedFolder);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function* bodyOf(...pieces: (string | Uint8Array)[]): AsyncGenerator<Uint8Array, void> {
  for (const piece of pieces) yield typeof piece === 'string' ? Buffer.from(piece) : piece;
}

/** Whether a process of this id runs; one that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = process.platform === 'linux' ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ') R';
    return !/^\) [ZX]/.test(stat.slice(stat.lastIndexOf(')')));
  } catch {
    return false;
  }
}
