import type { EnvironmentName } from '@hotswap/domain';
import type { Page, PageRequest } from './page.js';

export interface NewModuleVersion {
  name: string;
  version: string;
  digest: string;
  bytes: Buffer;
  /** The validated manifest with its defaults written out. */
  manifest: object;
  /** Verified, and one for each key, which it names by its public-key hint. */
  bundles: unknown[];
  signers: string[];
}

export interface ModuleVersion {
  name: string;
  version: string;
  digest: string;
  sizeBytes: number;
  manifest: object;
  signers: string[];
  publishedAt: Date;
  /** Since when no new deployment takes it, and why; both null: it may be deployed. */
  withdrawnAt: Date | null;
  withdrawalReason: string | null;
}

export type PublishOutcome = 'created' | 'same' | 'other' | 'full';

export interface ModuleSummary {
  name: string;
  /** Newest semver first. */
  versions: string[];
  /** Those of them that were withdrawn. */
  withdrawnVersions: string[];
  /** Environment -> version that it runs. */
  environments: Partial<Record<EnvironmentName, string>>;
}

export interface VersionedConfiguration {
  values: Record<string, unknown>;
  /** 0, with no values, while nobody has set any. */
  revision: number;
}

export abstract class ModuleCatalog {
  /**
   * `same`: these very bytes were there already (the bundles take the places of the same keys' older ones); `other`: the version exists with other
   * bytes; `full`: it would have more bundles than are verified. After the last two nothing was written.
   */
  abstract publish(version: NewModuleVersion): Promise<{ outcome: PublishOutcome; published: ModuleVersion }>;
  abstract list(page: PageRequest): Promise<Page<ModuleSummary>>;
  abstract find(name: string): Promise<ModuleSummary | null>;
  abstract findVersion(name: string, version: string): Promise<ModuleVersion | null>;
  /** The stored bytes as they are, unverified: whoever loads them checks the digest. */
  abstract artifactBytes(digest: string): Promise<Buffer | null>;
  abstract bundles(digest: string): Promise<unknown[]>;
  /**
   * From here on no new deployment takes the version; unfinished ones look at once. The first withdrawal stays, with its reason. Null: no such
   * version.
   */
  abstract withdraw(name: string, version: string, reason: string): Promise<ModuleVersion | null>;
  abstract configuration(module: string, environment: EnvironmentName): Promise<VersionedConfiguration>;
  /**
   * Part of what later rollouts in the environment bring. The values that are there already make no new revision. Null: `expectedRevision` is not
   * the newest any more, nothing was written.
   */
  abstract replaceConfiguration(
    module: string,
    environment: EnvironmentName,
    values: Record<string, unknown>,
    expectedRevision: number,
  ): Promise<VersionedConfiguration | null>;
}
