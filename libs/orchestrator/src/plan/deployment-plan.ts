import type { DetectionForecast, EnvironmentName, Reason, StageName, StageStatus, StrategyName } from '@hotswap/domain';

/** A wait on the way, or what ends it. */
export interface PlanGate {
  /** Null: before the first stage. */
  stage: StageName | null;
  environment: EnvironmentName | null;
  because: Reason;
  /** `Person`: someone has to say yes. `Time`: it ends by itself. Null: the plan ends here. */
  endsBy: 'Person' | 'Time' | null;
}

export interface PlanStep {
  /** 0 is the scout. */
  number: number;
  of: number;
  targetPercent: number;
  message: string;
  /** Nodes that are given something new, in the order in which they are. */
  nodes: string[];
  /** Without the waits that are gates. */
  seconds: number;
}

/** How many of the environment's nodes serve the module on the way. */
export interface PlanCapacity {
  nodes: number;
  /** A node serves what it ran before until the new release is ready beside it. */
  servingMin: number;
  /** Nodes that are replacing what they serve at the same time. */
  replacingMax: number;
}

/** What a canary could find at the traffic of the last minutes. */
export interface PlanPower {
  requestsPerSecond: number;
  /** 0-1. */
  errorRate: number;
  steps: DetectionForecast[];
}

export interface PlanStage {
  name: StageName;
  environment: EnvironmentName | null;
  /** As it would end; `Pending`: not reached. */
  status: StageStatus;
  seconds: number;
  /** Of a Deploy stage that is reached. */
  rollout: {
    strategy: StrategyName;
    fromVersion: string | null;
    toVersion: string;
    steps: PlanStep[];
    capacity: PlanCapacity;
    /** Null: no canary that compares, or no traffic. */
    power: PlanPower | null;
  } | null;
}

/** What a deployment would do if nodes do what they are asked, the target behaves, and people say yes. */
export interface DeploymentPlan {
  revision: string;
  artifact: string;
  /** True: it would reach its end. */
  succeeds: boolean;
  /** Without the waits that are gates. */
  seconds: number;
  /** How long a node is taken to need to confirm what it was asked. */
  nodeSeconds: number;
  stages: PlanStage[];
  gates: PlanGate[];
}
