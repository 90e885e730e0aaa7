import { parse, satisfies, validRange } from 'semver';
import { kernelVersion } from './kernel-version.js';
import { describeProblems, schemaCheck, type Problem } from './schema-check.js';

/** What a module asks of a node: `hotswap` in its package.json, every default filled in. Described by manifest.schema.json. */
export interface Manifest {
  manifest: 1;
  /** Path of the bundle inside the package. */
  entry: string;
  route: string;
  /** semver range of kernel versions. */
  kernel: string;
  isolation: 'process' | 'thread';
  permissions: { network: boolean; fileRead: string[]; fileWrite: string[]; childProcess: boolean };
  limits: { memoryMiB: number; requestSeconds: number; requestBodyMiB: number; inFlight: number };
  /** `path: null`: nothing is requested, the module's own `health()` decides alone. */
  health: { path: string | null; timeoutSeconds: number };
  smoke: SmokeCheck[];
  /** Left out: every request is given to a release by chance. */
  affinity?: { header: string };
  /** The module has `snapshot` and `restore`: an instance hands its state to the one that replaces it. Left out: it has none. */
  state?: { handoverSeconds: number };
}

export interface SmokeCheck {
  request: {
    method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
    path: string;
    headers: Record<string, string>;
    /** Sent as the body, with content-type application/json. */
    json?: unknown;
  };
  expect: {
    status: number;
    /** Objects in the answer may have more members than named here; everything else is equal. */
    json?: unknown;
  };
}

/** A package.json that is not a module's; pointers are into package.json. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  constructor(readonly problems: readonly Problem[]) {
    super(`package.json: ${describeProblems(problems)}`);
  }
}

const namePattern = /^[a-z0-9-]{1,100}$/;
const check = schemaCheck('./manifest.schema.json');

/**
 * Reads a module's package.json. The value is not changed.
 * @throws ManifestError with every problem found
 */
export function parseManifest(packageJson: unknown): { name: string; version: string; manifest: Manifest } {
  if (!isObject(packageJson)) throw new ManifestError([{ pointer: '', message: 'must be an object' }]);
  const { name, version, hotswap } = packageJson;
  const problems: Problem[] = [];
  if (typeof name !== 'string' || !namePattern.test(name)) {
    problems.push({ pointer: '/name', message: 'must be 1-100 of a-z, 0-9 and -' });
  }
  if (typeof version !== 'string' || !isExactVersion(version)) {
    problems.push({ pointer: '/version', message: 'must be an exact semver version, such as 1.2.3' });
  }
  const manifest = structuredClone(hotswap);
  if (isObject(manifest)) {
    manifest['route'] ??= name;
    problems.push(...check(manifest).map((problem) => ({ ...problem, pointer: `/hotswap${problem.pointer}` })));
    problems.push(...kernelProblems(manifest['kernel']));
  } else {
    problems.push({ pointer: '/hotswap', message: 'must be an object: the manifest' });
  }
  if (problems.length > 0) throw new ManifestError(problems);
  return { name, version, manifest } as unknown as { name: string; version: string; manifest: Manifest };
}

function isExactVersion(version: string): boolean {
  const parsed = parse(version);
  return (
    parsed !== null &&
    [parsed.version, ...(parsed.build.length > 0 ? [parsed.build.join('.')] : [])].join('+') === version
  );
}

function kernelProblems(range: unknown): Problem[] {
  if (typeof range !== 'string') return [];
  const pointer = '/hotswap/kernel';
  if (validRange(range) === null) return [{ pointer, message: 'must be a semver range, such as ^1.0.0' }];
  if (!satisfies(kernelVersion, range)) {
    return [{ pointer, message: `asks for ${range}, but this kernel is ${kernelVersion}` }];
  }
  return [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
