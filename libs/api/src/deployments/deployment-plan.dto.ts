import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import {
  environments,
  stageStatuses,
  tellForecast,
  type EnvironmentName,
  type StageName,
  type StageStatus,
  type StrategyName,
} from '@hotswap/domain';
import type { DeploymentPlan, PlanGate, PlanStage, PlannedDeployment } from '@hotswap/orchestrator';
import { DetectionStepDto } from '../clusters/detection-step.dto.js';
import { apiPaths } from '../http/api-paths.js';
import { ReasonDto } from './deployment.dto.js';

const stageNames = ['Verify', 'Approval', 'Deploy', 'Validate'] as const;
const seconds = { minimum: 0, description: 'Expected, without the waits that are gates.' };

@ApiSchema({ name: 'PlanStep' })
export class PlanStepDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: '0 is the scout.', example: 2 })
  number!: number;

  @ApiProperty({ type: 'integer', minimum: 1, example: 4 })
  of!: number;

  @ApiProperty({ minimum: 0, maximum: 100, example: 30 })
  targetPercent!: number;

  @ApiProperty({ example: 'Canary step 2 of 4 (30 % of requests) starts on 5 nodes' })
  message!: string;

  @ApiProperty({ type: [String], description: 'Nodes that are given something new, in order.' })
  nodes!: string[];

  @ApiProperty({ ...seconds, example: 122 })
  expectedSeconds!: number;
}

@ApiSchema({ name: 'PlanCapacity' })
export class PlanCapacityDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Of the environment.', example: 5 })
  nodes!: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 5,
    description:
      'Fewest that serve the module. A node serves what it ran before until the new release is ready beside it.',
  })
  servingMin!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 2, description: 'Most that replace what they serve at a time.' })
  replacingMax!: number;
}

@ApiSchema({ name: 'PlanPowerStep' })
export class PlanPowerStepDto extends DetectionStepDto {
  @ApiProperty({ example: 'at this traffic errors x5 would be found in about 0.7 min, x2 in about 14 min' })
  message!: string;
}

@ApiSchema({ name: 'PlanPower', description: 'What the canary could find at the traffic of the last five minutes.' })
export class PlanPowerDto {
  @ApiProperty({ minimum: 0, example: 1000 })
  requestsPerSecond!: number;

  @ApiProperty({ minimum: 0, maximum: 100, example: 0.1 })
  errorRatePercent!: number;

  @ApiProperty({ type: [PlanPowerStepDto] })
  steps!: PlanPowerStepDto[];
}

@ApiSchema({ name: 'PlanRollout' })
export class PlanRolloutDto {
  @ApiProperty({ type: 'string', example: 'Canary' })
  strategy!: StrategyName;

  @ApiProperty({ type: 'string', nullable: true, example: '2.0.0' })
  fromVersion!: string | null;

  @ApiProperty({ example: '2.1.0' })
  toVersion!: string;

  @ApiProperty({ type: [PlanStepDto] })
  steps!: PlanStepDto[];

  @ApiProperty({ type: PlanCapacityDto })
  capacity!: PlanCapacityDto;

  @ApiProperty({
    type: PlanPowerDto,
    nullable: true,
    description: 'Null: nothing is compared, or there is no traffic.',
  })
  power!: PlanPowerDto | null;
}

@ApiSchema({ name: 'PlanStage' })
export class PlanStageDto {
  @ApiProperty({ enum: stageNames, example: 'Deploy' })
  name!: StageName;

  @ApiProperty({ type: 'string', enum: environments, nullable: true, description: 'Null for Verify.' })
  environment!: EnvironmentName | null;

  @ApiProperty({ enum: stageStatuses, description: 'As it would end; Pending: not reached.', example: 'Succeeded' })
  status!: StageStatus;

  @ApiProperty({ ...seconds, example: 380 })
  expectedSeconds!: number;

  @ApiProperty({ type: PlanRolloutDto, nullable: true, description: 'Of a Deploy stage that moves nodes.' })
  rollout!: PlanRolloutDto | null;
}

@ApiSchema({ name: 'PlanGate', description: 'Where the deployment would wait, or end.' })
export class PlanGateDto {
  @ApiProperty({ type: 'string', enum: stageNames, nullable: true, description: 'Null: before the first stage.' })
  stage!: StageName | null;

  @ApiProperty({ type: 'string', enum: environments, nullable: true, example: 'Production' })
  environment!: EnvironmentName | null;

  @ApiProperty({
    type: 'string',
    enum: ['Person', 'Time'],
    nullable: true,
    description: 'What ends the wait: someone’s word, or time alone. Null: the plan ends here.',
  })
  endsBy!: PlanGate['endsBy'];

  @ApiProperty({ type: ReasonDto })
  reason!: ReasonDto;
}

@ApiSchema({
  name: 'DeploymentPlan',
  description: 'What the deployment would do if nodes do what they are asked, the version behaves, and people say yes.',
})
export class DeploymentPlanDto {
  @ApiProperty({
    pattern: '^sha256:[0-9a-f]{64}$',
    description: 'Handed back when the deployment is created, it is refused if what the plan depends on has changed.',
  })
  planRevision!: string;

  @ApiProperty({ example: 'payment-processor' })
  moduleName!: string;

  @ApiProperty({ example: '2.1.0' })
  version!: string;

  @ApiProperty({ description: 'sha256 of the artifact.', pattern: '^sha256:[0-9a-f]{64}$' })
  digest!: string;

  @ApiProperty({ enum: environments, example: 'Production' })
  targetEnvironment!: EnvironmentName;

  @ApiProperty({ description: 'False: the last gate ends it.', example: true })
  succeeds!: boolean;

  @ApiProperty({ ...seconds, example: 412 })
  expectedSeconds!: number;

  @ApiProperty({ minimum: 0, description: 'How long a node is taken to need for what it is asked.', example: 2 })
  nodeSeconds!: number;

  @ApiProperty({ type: [PlanStageDto] })
  stages!: PlanStageDto[];

  @ApiProperty({ type: [PlanGateDto], description: 'In the order in which they are met.' })
  gates!: PlanGateDto[];
}

export function showPlan(
  { module, version, targetEnvironment }: PlannedDeployment,
  plan: DeploymentPlan,
): DeploymentPlanDto {
  return {
    planRevision: plan.revision,
    moduleName: module,
    version,
    digest: plan.artifact,
    targetEnvironment,
    succeeds: plan.succeeds,
    expectedSeconds: plan.seconds,
    nodeSeconds: plan.nodeSeconds,
    stages: plan.stages.map(showStage),
    gates: plan.gates.map(showGate),
  };
}

function showStage({ name, environment, status, seconds: expectedSeconds, rollout }: PlanStage): PlanStageDto {
  return {
    name,
    environment,
    status,
    expectedSeconds,
    rollout: rollout && {
      ...rollout,
      steps: rollout.steps.map(({ seconds: each, ...step }) => ({ ...step, expectedSeconds: each })),
      power: rollout.power && {
        requestsPerSecond: Number(rollout.power.requestsPerSecond.toPrecision(3)),
        errorRatePercent: Number((rollout.power.errorRate * 100).toPrecision(3)),
        steps: rollout.power.steps.map((step) => ({ ...step, message: tellForecast(step) })),
      },
    },
  };
}

function showGate({ stage, environment, because, endsBy }: PlanGate): PlanGateDto {
  const { deployment } = because.data;
  const link = typeof deployment === 'string' ? { deployment: apiPaths.deployment(deployment) } : {};
  return { stage, environment, endsBy, reason: { ...because, data: { ...because.data, ...link } } };
}
