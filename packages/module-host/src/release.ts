import type { ReleaseSpec } from '@hotswap/agent-protocol';
import type { Manifest, ModuleEnv } from '@hotswap/module-kit';

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
export function environmentOf(release: LoadableRelease, secrets: Record<string, string>): ModuleEnv {
  const { spec, environment, node } = release;
  return { ...spec.configuration, ...secrets, environment, module: spec.module, version: spec.version, node };
}
