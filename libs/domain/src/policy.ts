import type { EnvironmentName, StrategyName } from './environment.js';
import type { Freeze } from './freeze/freeze.js';

/** A count of nodes ("1") or a share of them ("25%"). */
export type CountOrPercent = string;

export interface CanaryStep {
  /** Share of the requests on every node that the target gets; 100 = it becomes the active release. */
  percent: number;
  /** Not before all nodes have given it that share for this long. */
  minimumSeconds: number;
  /** At the latest then the step is over, judged or not. */
  maximumSeconds: number;
  /** Goes on only when a person says so, once its time is over. Left out: false. */
  pause?: boolean;
}

/** What a step does when its time is over and nothing was proved: go on, wait for a person, or make requests of its own. */
export const inconclusivePolicies = ['advance', 'hold', 'probe'] as const;
export type InconclusivePolicy = (typeof inconclusivePolicies)[number];

/** How a canary is judged beside its plain guards. */
export interface CanaryAnalysis {
  /** A second fresh instance of stable per node; false where memory forbids it: then CPU and memory are not compared. */
  twin: boolean;
  /** Before the last step the target's processes have run for so long: a leak needs time, not requests. */
  bakeSeconds: number;
  inconclusive: InconclusivePolicy;
  /** Numbers of the analysis that differ from its standard ones. */
  parameters: Record<string, unknown>;
}

/** Limits that people understand, for every strategy. Shares are of answered requests; a failure is a 5xx, a time-out or no answer. */
export interface Guards {
  /** Below this many requests on the target nothing is judged. */
  requestsMin: number;
  /** Below this many failed requests on the target nothing is judged. */
  failuresMin: number;
  /** Beside stable: roll back when the target's failed share is above this many times stable's at the same time … */
  failedShareRatioMax: number;
  /** … and above it by more than this many percentage points. */
  failedSharePointsMax: number;
  /** Where no stable serves any more: roll back at this failed share (percent) … */
  failedSharePercentMax: number;
  /** … when it is also more than this many times the share of the minute before. */
  failedShareTimesBeforeMax: number;
  /** Roll back when the target's p99 since the step started is above this; null: no limit. */
  latencyP99MillisecondsMax?: number | null;
  /** Roll back when one process of the target uses more than this of a core, over the last half minute. */
  cpuPercentMax?: number | null;
  /** Roll back when one process of the target holds more than this. */
  memoryMiBMax?: number | null;
  /** Unasked ends of the target's process on one node before it counts as a bad version. */
  crashesMax: number;
}

/** Evidence from outside, asked for again and again while a target has requests. */
export type ExternalCheck = {
  /** Of its own within a policy. */
  name: string;
  /** http or https; no private address unless the orchestrator's settings allow its host. */
  url: string;
  intervalSeconds: number;
} & (
  | {
      kind: 'prometheus';
      /** PromQL; the value farthest beyond a limit counts where it answers several. */
      query: string;
      /** Good at or above; null: no lower limit. */
      min: number | null;
      /** Good at or below; null: no upper limit. */
      max: number | null;
    }
  /** Asked by POST, answers `{ "verdict": "good" | "bad" | "unknown", "message"? }`. */
  | { kind: 'webhook' }
);

/** Who has to say yes before a deployment enters an environment. */
export interface ApprovalPolicy {
  /** So many people, none of them the requester; one that says no is enough to keep it out. */
  required: number;
  /** Asked even where the deployment does not ask for it. */
  always: boolean;
}

/** Every number of how an environment takes a new release. */
export interface Policy {
  strategy: StrategyName;
  canary: {
    scout: { percent: number; seconds: number } | null;
    steps: CanaryStep[];
    /** Null: by the plain guards alone. */
    analysis?: CanaryAnalysis | null;
  };
  rolling: { maxUnavailable: CountOrPercent; maxSurge: CountOrPercent; minimumReadySeconds: number };
  blueGreen: { autoPromote: boolean; bakeSeconds: number };
  guards: Guards;
  /** A bad answer takes the target back; no step ends before each has a good one. Left out: none. */
  checks?: ExternalCheck[];
  /** When nothing new is let in. Left out: never. */
  freeze?: Freeze[];
  /** Left out: one person, where the deployment asks for it. */
  approval?: ApprovalPolicy;
  /** How long a replaced release stays started on its nodes. */
  warmSeconds: number;
  /** How long requests in flight may take to end in a replaced instance. */
  drainSeconds: number;
  /** So many silent nodes are left out of a rollout; more hold it. */
  lostNodesMax: number;
  /** A step that its nodes have not confirmed by then fails. Time without anyone listening does not count. */
  progressDeadlineSeconds: number;
  /** How long every live node must report the target healthy before a deployment has succeeded. */
  validateSeconds: number;
}

const strategyOf: Record<EnvironmentName, StrategyName> = {
  Development: 'Direct',
  QA: 'Rolling',
  Staging: 'BlueGreen',
  Production: 'Canary',
};

/** The policy of an environment that nobody has changed. */
export function defaultPolicy(environment: EnvironmentName): Policy {
  return {
    strategy: strategyOf[environment],
    canary: {
      scout: { percent: 5, seconds: 60 },
      steps: [
        { percent: 10, minimumSeconds: 120, maximumSeconds: 900 },
        { percent: 30, minimumSeconds: 120, maximumSeconds: 900 },
        { percent: 50, minimumSeconds: 120, maximumSeconds: 900 },
        { percent: 100, minimumSeconds: 0, maximumSeconds: 900 },
      ],
      analysis: { twin: true, bakeSeconds: 900, inconclusive: 'advance', parameters: {} },
    },
    rolling: { maxUnavailable: '25%', maxSurge: '0', minimumReadySeconds: 5 },
    blueGreen: { autoPromote: true, bakeSeconds: 30 },
    guards: {
      requestsMin: 50,
      failuresMin: 5,
      failedShareRatioMax: 2,
      failedSharePointsMax: 0.5,
      failedSharePercentMax: 5,
      failedShareTimesBeforeMax: 3,
      latencyP99MillisecondsMax: null,
      cpuPercentMax: null,
      memoryMiBMax: null,
      crashesMax: 1,
    },
    checks: [],
    freeze: [],
    approval: { required: 1, always: false },
    warmSeconds: 900,
    drainSeconds: 30,
    lostNodesMax: 1,
    progressDeadlineSeconds: 600,
    validateSeconds: 10,
  };
}
