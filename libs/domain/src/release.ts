import type { EnvironmentName } from './environment.js';

/**
 * What runs: an artifact with a configuration. Immutable. `digest` names the whole, `artifact` the bytes; both are
 * `sha256:<64 hex digits>`. Changing configuration makes a new release, which goes out like code.
 */
export interface Release {
  digest: string;
  module: string;
  version: string;
  artifact: string;
  configurationRevision: number;
  configuration: Record<string, unknown>;
}

/** The one record of what an environment runs of one module; a rollout moves it when it completes. */
export interface EnvironmentRelease {
  environment: EnvironmentName;
  module: string;
  /** The stable release; null: the module is absent. */
  release: Release | null;
  previous: Release | null;
  /** The unfinished Deploy stage that owns the nodes now; null: the cluster pass does. */
  ownerStageId: string | null;
  revision: number;
}
