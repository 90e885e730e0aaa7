import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { LoadError } from '@hotswap/module-host';
import { type Artifact, artifactLimits, digestOf, writeArtifact } from '@hotswap/module-kit';
import { Backoff, type ControlPlane, ControlPlaneError, writeFileAtomically } from '@hotswap/node-agent';

const artifactBytesMax = artifactLimits.packedMiB * 1024 * 1024;
const fetchAttempts = 4;
const tgzName = 'artifact.tgz';
const bundlesName = 'bundles.json';

export interface CacheLimits {
  bytesMax: number;
  artifactCountMax: number;
}

const defaultLimits: CacheLimits = { bytesMax: 1024 ** 3, artifactCountMax: 50 };

/**
 * Artifacts by digest, on disk: `artifacts/<hex>/` holds an artifact as it was fetched, with its bundles, for restarts without the control plane;
 * `unpacked/<pid>-<boot id>/<hex>/` its files, unpacked anew by each process, so that nothing that was written beside is ever run. The folders that instances
 * run from lie beside these.
 */
export class ArtifactCache {
  private readonly artifactsDirectory: string;
  private readonly unpackedDirectory: string;
  private readonly fetching = new Map<string, Promise<Buffer>>();
  private readonly unpacking = new Map<string, Promise<string>>();

  private constructor(
    private readonly nodeDirectory: string,
    bootId: string,
    private readonly controlPlane: ControlPlane,
    private readonly onDamaged: (problem: string) => void,
    private readonly limits: CacheLimits,
  ) {
    this.artifactsDirectory = join(nodeDirectory, 'artifacts');
    this.unpackedDirectory = join(nodeDirectory, 'unpacked', `${process.pid}-${bootId}`);
  }

  /** For the folders that instances run from. */
  get instancesDirectory(): string {
    return join(this.unpackedDirectory, 'instances');
  }

  /** Makes the folders and clears what processes that have ended left behind. `onDamaged` hears of files that are not what they were. */
  static async open(
    nodeDirectory: string,
    bootId: string,
    controlPlane: ControlPlane,
    onDamaged: (problem: string) => void,
    limits = defaultLimits,
  ): Promise<ArtifactCache> {
    const cache = new ArtifactCache(nodeDirectory, bootId, controlPlane, onDamaged, limits);
    await mkdir(cache.artifactsDirectory, { recursive: true });
    await mkdir(cache.unpackedDirectory, { recursive: true });
    await cache.clearLeftovers();
    return cache;
  }

  /**
   * The artifact's bytes, which have the digest asked for, from disk or from the control plane.
   * Throws LoadError `fetch` or `digest`, or the signal's reason.
   */
  async loadBytes(digest: string, signal: AbortSignal): Promise<Buffer> {
    const kept = await this.readKept(digest);
    if (kept) return kept;
    signal.throwIfAborted();
    // Two releases of one artifact fetch it once; so the fetch outlives either's signal, but not its own time-out.
    let fetching = this.fetching.get(digest);
    if (!fetching) {
      fetching = this.fetchBytes(digest).finally(() => this.fetching.delete(digest));
      this.fetching.set(digest, fetching);
    }
    return until(fetching, signal);
  }

  /** The bundles kept with an artifact; null where there are none. */
  async keptBundles(digest: string): Promise<unknown[] | null> {
    try {
      const bundles: unknown = JSON.parse(await readFile(join(this.folderOf(digest), bundlesName), 'utf8'));
      return Array.isArray(bundles) ? (bundles as unknown[]) : null;
    } catch {
      return null;
    }
  }

  /** The bundles that the control plane has now; kept for the next time. Throws LoadError `fetch`, or the signal's reason. */
  async fetchBundles(digest: string, signal: AbortSignal): Promise<unknown[]> {
    const bundles = await persist(signal, () => this.controlPlane.fetchBundles(digest, signal));
    await this.keep(digest, bundlesName, JSON.stringify(bundles));
    return bundles;
  }

  /** Folder with the artifact's files, written by this process alone. */
  async unpack(artifact: Artifact): Promise<string> {
    let unpacking = this.unpacking.get(artifact.digest);
    if (!unpacking) {
      unpacking = this.writeFiles(artifact);
      this.unpacking.set(artifact.digest, unpacking);
      unpacking.catch(() => this.unpacking.delete(artifact.digest));
    }
    return unpacking;
  }

  /** Removes the artifacts that were not used for longest and are not in `digestsInUse`, until the cache is within its limits. */
  async evict(digestsInUse: ReadonlySet<string>): Promise<void> {
    const hexInUse = new Set([...digestsInUse].map(hexOf));
    const found = await Promise.all((await readdir(this.artifactsDirectory)).map((hex) => this.measure(hex)));
    const oldestFirst = found.sort((a, b) => a.usedAtMs - b.usedAtMs);
    let bytes = oldestFirst.reduce((sum, each) => sum + each.bytes, 0);
    let count = oldestFirst.length;
    for (const each of oldestFirst) {
      if (bytes <= this.limits.bytesMax && count <= this.limits.artifactCountMax) return;
      if (hexInUse.has(each.hex)) continue;
      this.unpacking.delete(`sha256:${each.hex}`);
      await rm(join(this.artifactsDirectory, each.hex), { recursive: true, force: true });
      await rm(join(this.unpackedDirectory, each.hex), { recursive: true, force: true });
      bytes -= each.bytes;
      count--;
    }
  }

  /** Removes this process' unpacked files; no instance may run any more. */
  async close(): Promise<void> {
    await rm(this.unpackedDirectory, { recursive: true, force: true });
  }

  private async readKept(digest: string): Promise<Buffer | null> {
    const file = join(this.folderOf(digest), tgzName);
    try {
      const bytes = await readFile(file);
      if (digestOf(bytes) === digest) {
        const now = new Date();
        await utimes(file, now, now);
        return bytes;
      }
      this.onDamaged(
        `${file} is not what was fetched: its bytes have another digest; it is discarded and fetched anew`,
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      this.onDamaged(`${file} can't be used and is fetched anew: ${(error as Error).message}`);
    }
    await rm(file, { force: true });
    return null;
  }

  private async fetchBytes(digest: string): Promise<Buffer> {
    const signal = new AbortController().signal;
    const fetched = await persist(signal, () => this.controlPlane.fetchArtifact(digest, artifactBytesMax, signal));
    const bytes = Buffer.from(fetched.buffer, fetched.byteOffset, fetched.byteLength);
    const actual = digestOf(bytes);
    if (actual !== digest) throw new LoadError('digest', `The artifact ${digest} came with the digest ${actual}.`);
    await this.keep(digest, tgzName, bytes);
    return bytes;
  }

  // A full disk costs the next restart its cache, not this load.
  private async keep(digest: string, name: string, content: string | Uint8Array): Promise<void> {
    const file = join(this.folderOf(digest), name);
    try {
      await mkdir(this.folderOf(digest), { recursive: true });
      await writeFileAtomically(file, content);
    } catch (error) {
      this.onDamaged(`${file} can't be kept for a restart: ${(error as Error).message}`);
    }
  }

  private async writeFiles(artifact: Artifact): Promise<string> {
    const target = join(this.unpackedDirectory, hexOf(artifact.digest));
    const temporary = `${target}.${randomUUID()}.tmp`;
    try {
      await writeArtifact(artifact, temporary);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw new LoadError('artifact', `The artifact could not be unpacked: ${(error as Error).message}`);
    }
    return target;
  }

  private async measure(hex: string): Promise<{ hex: string; bytes: number; usedAtMs: number }> {
    const found = await stat(join(this.artifactsDirectory, hex, tgzName)).catch(() => null);
    return { hex, bytes: found?.size ?? 0, usedAtMs: found?.mtimeMs ?? 0 };
  }

  private async clearLeftovers(): Promise<void> {
    const root = join(this.nodeDirectory, 'unpacked');
    for (const name of await readdir(root)) {
      const pid = Number.parseInt(name, 10);
      // A process that this one replaces may still be draining.
      if (pid !== process.pid && isAlive(pid)) continue;
      if (join(root, name) !== this.unpackedDirectory) await rm(join(root, name), { recursive: true, force: true });
    }
  }

  private folderOf(digest: string): string {
    return join(this.artifactsDirectory, hexOf(digest));
  }
}

/** Calls until it passes, at most four times with growing pauses; an answer that would stay the same is not asked for again. */
async function persist<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  const backoff = new Backoff(250, 2_000);
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      const isLast = attempt === fetchAttempts || (error instanceof ControlPlaneError && error.permanent);
      if (isLast) throw new LoadError('fetch', (error as Error).message);
      await backoff.wait(signal);
    }
  }
}

async function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
