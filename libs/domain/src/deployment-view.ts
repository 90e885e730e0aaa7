import type { Deployment, Stage } from './deployment.js';
import type { EnvironmentCluster } from './environment-cluster.js';
import type { Instant } from './instant.js';
import type { Policy } from './policy.js';
import type { EnvironmentRelease, Release } from './release.js';
import type { AnalysisView } from './rollout/analysis-record.js';
import type { Evidence } from './rollout/evidence.js';
import type { RolloutTraffic } from './rollout/rollout-view.js';

/** The environment of the stage in hand. */
export interface EnvironmentView {
  cluster: EnvironmentCluster;
  policy: Policy;
  /** What the environment runs of this module; `revision` 0 while there is no record yet. */
  record: EnvironmentRelease;
  /** What this deployment brings here: its artifact with the environment's newest configuration. */
  target: Release;
  traffic: RolloutTraffic;
  /** Of the Deploy stage in hand, where one is kept. */
  analysis?: AnalysisView;
}

/** One consistent read of everything the pipeline may look at. */
export interface DeploymentView {
  deployment: Deployment;
  stages: Stage[];
  evidence: Evidence[];
  /** Since when its version is withdrawn, and why; null or left out: it is not. */
  withdrawal?: { at: Instant; reason: string | null } | null;
  /** Null for Verify. */
  environment: EnvironmentView | null;
  now: number;
  /** Revisions of what is not monotone; `commit` checks that they still hold. */
  revisions: { policy: number; membership: number; record: number };
}
