import type { Progress } from '../deployment.js';
import type { EnvironmentCluster } from '../environment-cluster.js';
import type { Instant } from '../instant.js';
import type { ListeningGap } from '../listening.js';
import type { Policy } from '../policy.js';
import type { Reason } from '../reason.js';
import type { Release } from '../release.js';
import type { AnalysisView } from './analysis-record.js';
import type { Decision } from './decision.js';
import type { Wait } from './wait.js';

/** What one release experienced: answered requests, and failed ones among them (5xx, time-outs, no answer). */
export interface Traffic {
  requests: number;
  failures: number;
}

/** What the target's processes took. */
export interface TargetLoad {
  /** Since the step in hand started; null: no request was answered. */
  latencyP99Seconds: number | null;
  /** Of the busiest process over the last half minute; null: not known. */
  cpuPercentMax: number | null;
  /** Of the biggest process now. */
  memoryBytesMax: number | null;
}

/** What nodes reported of the module's traffic in this environment. */
export interface RolloutTraffic {
  /** Since the step in hand started. */
  target: Traffic;
  /** Every other release in the same time. */
  stable: Traffic;
  /** The minute before the target was given its first request, all releases. */
  before: Traffic;
  /** Where the policy limits it. */
  targetLoad?: TargetLoad;
}

/** Everything a strategy may look at. */
export interface RolloutView {
  module: string;
  policy: Policy;
  cluster: EnvironmentCluster;
  /** The way back; null: the module was absent. */
  stable: Release | null;
  target: Release;
  /** When the stage started. */
  startedAt: Instant;
  /** Null before the first step. */
  progress: Progress | null;
  traffic: RolloutTraffic;
  /** Left out where no analysis is kept: the plain guards alone judge. */
  analysis?: AnalysisView;
  /** Times that count for no bake and no deadline: pauses (one under way ends now) and times without anyone listening; may overlap. */
  suspensions: ListeningGap[];
  /** A person asked to go on without waiting: this step, or all steps. Guards hold all the same. */
  promotion: 'step' | 'full' | null;
  /** A person stopped it: evidence is taken in, and acted on when it speaks against the target. */
  isPaused?: boolean;
  /** A freeze lets no step begin, though the one in hand goes on. */
  isFrozen?: boolean;
  /** Why no step may end yet, however its strategy sees it. */
  heldBack?: Reason | null;
  /** What the rollout has been waiting for since its last look; null or left out: nothing that has a clock of its own. */
  waiting?: Wait | null;
}

/** How one environment is moved from the stable release to the target. Sync, total, pure: same view, same decision. */
export interface Strategy {
  readonly name: string;
  decide(view: RolloutView): Decision;
}
