import type { EnvironmentCluster, EnvironmentRelease, Instant, Policy, Release } from '@hotswap/domain';
import type { NewDeployment } from './deployment-store.js';

/** What decides how a deployment would go. */
export type PlannedDeployment = Pick<
  NewDeployment,
  'module' | 'version' | 'targetEnvironment' | 'requesterEmail' | 'requireApproval' | 'onConflict' | 'breakGlass'
>;

/** An environment on the way, as it is. */
export interface PlannedEnvironment {
  cluster: EnvironmentCluster;
  policy: Policy;
  /** `revision` 0 while there is no record yet. */
  record: EnvironmentRelease;
  /** The version with the environment's newest configuration. */
  target: Release;
}

/** What a plan is made of, read at one moment. */
export interface Situation {
  now: Instant;
  artifact: string;
  isWithdrawn: boolean;
  /** The unfinished deployment of the module in one of the environments; null: none. */
  inProgress: string | null;
  /** On the way, in order. */
  environments: PlannedEnvironment[];
  /** Digest of what was asked and of all that a plan depends on: equal while a plan made before still holds. */
  revision: string;
}

export type SituationOutcome =
  { kind: 'found'; situation: Situation } | { kind: 'module-not-found' | 'version-not-found' };

/** What planning reads. */
export abstract class PlanStore {
  /** One consistent (repeatable-read) look; writes nothing. */
  abstract load(wanted: PlannedDeployment): Promise<SituationOutcome>;
}
