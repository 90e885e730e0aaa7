import type { JsonObject, ReleaseSpec } from '@hotswap/agent-protocol';

/** What a release's package says about itself (`hotswap` in its package.json), every default filled in. */
export interface Manifest {
  /** Path of the bundle within the package. */
  entry: string;
  /** The module's traffic is mounted at `/<route>`. */
  route: string;
  permissions: ManifestPermissions;
  limits: ManifestLimits;
  /** `path: null`: nothing is requested, the module's own `health()` decides alone. */
  health: { path: string | null; timeoutSeconds: number };
  smoke: SmokeRequest[];
}

export interface ManifestPermissions {
  network: boolean;
  /** Absolute paths. */
  fileRead: string[];
  fileWrite: string[];
  childProcess: boolean;
}

export interface ManifestLimits {
  /** Of the JavaScript heap; the process may use as much again for buffers. */
  memoryMiB: number;
  requestSeconds: number;
  requestBodyMiB: number;
  inFlight: number;
}

export interface SmokeRequest {
  /** `json` is sent as the body. */
  request: { method: string; path: string; headers: Record<string, string>; json?: unknown };
  expect: { status: number; json?: unknown };
}

/** An unpacked, verified release, ready to load. */
export interface LoadableRelease {
  spec: ReleaseSpec;
  manifest: Manifest;
  /** The unpacked package's folder, absolute. */
  directory: string;
  environment: string;
  node: string;
  /** The node's folder of secrets; a module's are the files in `<secretsDirectory>/<module>/`. */
  secretsDirectory: string | null;
}

/** How a release is named to people: in logs, in `x-hotswap-module`. */
export function releaseName(spec: Pick<ReleaseSpec, 'module' | 'version'>): string {
  return `${spec.module}@${spec.version}`;
}

/** What the module gets as `env`. Nothing can replace what it is told of its place. */
export function environmentOf(release: LoadableRelease, secrets: Record<string, string>): JsonObject {
  const { spec, environment, node } = release;
  return { ...spec.configuration, ...secrets, environment, module: spec.module, version: spec.version, node };
}
