import { ApiExtraModels, ApiProperty, ApiPropertyOptional, ApiSchema, getSchemaPath } from '@nestjs/swagger';
import {
  deploymentStatuses,
  environments,
  isoInstant,
  outcomeOf,
  outcomeOfStage,
  outcomes,
  progressPercent,
  rollbackOf,
  rollbackOfStage,
  stageStatuses,
  type DeploymentStatus,
  type EnvironmentName,
  type Instant,
  type Outcome,
  type Reason,
  type Stage,
  type StageName,
  type StageRollback,
  type StageStatus,
  type StrategyName,
} from '@hotswap/domain';
import type { DeploymentRecord } from '@hotswap/orchestrator';
import { apiPaths } from '../http/api-paths.js';
import { BreakGlassDto } from './create-deployment.dto.js';

const instant = { type: 'string', format: 'date-time', example: '2026-01-31T12:00:00.000Z' } as const;

@ApiSchema({ name: 'Reason', description: 'Why something is as it is; `code` is stable.' })
export class ReasonDto implements Reason {
  @ApiProperty({ example: 'baking' })
  code!: string;

  @ApiProperty({ example: 'Canary step 2 of 4 (30 % of requests): 41 s of at least 120 s' })
  message!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'The numbers of the message, for programs.' })
  data!: Record<string, unknown>;
}

@ApiSchema({ name: 'RolloutStep' })
export class RolloutStepDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: '0 is the scout.', example: 2 })
  number!: number;

  @ApiProperty({ type: 'integer', minimum: 1, example: 4 })
  of!: number;

  @ApiProperty({ minimum: 0, maximum: 100, example: 30 })
  targetPercent!: number;
}

@ApiSchema({ name: 'NodeProgress' })
export class NodeProgressDto {
  @ApiProperty({ type: 'integer', minimum: 0, example: 5 })
  total!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 5 })
  updated!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 5 })
  ready!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  failed!: number;
}

@ApiSchema({
  name: 'Rollback',
  description:
    'How it was taken back. A flip to a release that was still started takes milliseconds; other nodes have to start it first.',
})
export class RollbackDto {
  @ApiProperty({ ...instant, description: 'When it was decided; every touched node was told with the same commit.' })
  decidedAt!: string;

  @ApiProperty({ ...instant, nullable: true, description: 'When the last of its nodes had said that it is back.' })
  confirmedAt!: string | null;

  @ApiProperty({ type: Number, nullable: true, minimum: 0, description: 'From one to the other.', example: 0.084 })
  seconds!: number | null;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Live nodes that had to go back.', example: 5 })
  nodes!: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Of these, nodes for which it was a flip.', example: 5 })
  warmNodes!: number;
}

const outcome = {
  enum: [...outcomes, null],
  nullable: true,
  example: 'Promoted',
};

const noReason = { type: 'object', maxProperties: 0, description: 'There is none.' } as const;

@ApiExtraModels(ReasonDto)
@ApiSchema({ name: 'Stage' })
export class StageDto {
  @ApiProperty({ enum: ['Verify', 'Approval', 'Deploy', 'Validate'], example: 'Deploy' })
  name!: StageName;

  @ApiPropertyOptional({ enum: environments, description: 'Of Approval, Deploy and Validate.' })
  environment?: EnvironmentName;

  @ApiProperty({ enum: stageStatuses, example: 'Running' })
  status!: StageStatus;

  @ApiProperty({ ...instant, nullable: true })
  startedAt!: string | null;

  @ApiProperty({ ...instant, nullable: true })
  finishedAt!: string | null;

  @ApiPropertyOptional({
    type: 'string',
    nullable: true,
    example: 'Canary',
    description: 'Of Deploy; null before it starts.',
  })
  strategy?: StrategyName | null;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Of Deploy: the way back.', example: '2.0.0' })
  fromVersion?: string | null;

  @ApiPropertyOptional({ type: 'string', description: 'Of Deploy.', example: '2.1.0' })
  toVersion?: string;

  @ApiPropertyOptional({ type: RolloutStepDto, nullable: true, description: 'Of Deploy; null before its first step.' })
  step?: RolloutStepDto | null;

  @ApiPropertyOptional({ type: NodeProgressDto, nullable: true, description: 'Of Deploy; null before it starts.' })
  nodes?: NodeProgressDto | null;

  @ApiPropertyOptional({
    type: Number,
    nullable: true,
    minimum: 0,
    description:
      'Of a BlueGreen Deploy: the time between the first and the last node’s flip, once all have; else null.',
    example: 0.031,
  })
  flipSkewSeconds?: number | null;

  @ApiPropertyOptional({
    ...outcome,
    type: 'string',
    description: 'Of Deploy; null while it is not over, or where it had nothing to do.',
  })
  outcome?: Outcome | null;

  @ApiPropertyOptional({ type: RollbackDto, nullable: true, description: 'Of Deploy; null: it was not taken back.' })
  rollback?: RollbackDto | null;

  @ApiProperty({ oneOf: [{ $ref: getSchemaPath(ReasonDto) }, noReason] })
  reason!: ReasonDto | Record<string, never>;
}

@ApiSchema({ name: 'DeploymentLinks' })
export class DeploymentLinksDto {
  @ApiProperty({ format: 'uri-reference', example: '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000' })
  self!: string;

  @ApiProperty({ format: 'uri-reference', example: '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000/events' })
  events!: string;

  @ApiProperty({
    format: 'uri-reference',
    example: '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000/rollback',
  })
  rollback!: string;

  @ApiProperty({ format: 'uri-reference', example: '/api/v1/clusters/Production' })
  cluster!: string;

  @ApiPropertyOptional({ format: 'uri-reference', description: 'Of a retry: the deployment before.' })
  retryOf?: string;
}

@ApiSchema({
  name: 'Exposure',
  description:
    'What users met of the new version while the deployment was under way, in all its environments together. It counts while requests are given to the version, and stays as it is once the deployment has ended.',
})
export class ExposureDto {
  @ApiProperty({ minimum: 0, description: 'How long requests were given to it.', example: 41.2 })
  seconds!: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Requests that it answered.', example: 18_220 })
  requests!: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Of these, failed ones.', example: 0 })
  failures!: number;
}

@ApiSchema({ name: 'Deployment' })
export class DeploymentDto {
  @ApiProperty({ format: 'uuid', example: '0193a0b0-0000-7000-8000-000000000000' })
  id!: string;

  @ApiProperty({ example: 'payment-processor' })
  moduleName!: string;

  @ApiProperty({ example: '2.1.0' })
  version!: string;

  @ApiProperty({ description: 'sha256 of the artifact.', pattern: '^sha256:[0-9a-f]{64}$' })
  digest!: string;

  @ApiProperty({ enum: environments, example: 'Production' })
  targetEnvironment!: EnvironmentName;

  @ApiProperty({ format: 'email', example: 'user@example.com' })
  requesterEmail!: string;

  @ApiProperty({ type: 'string', nullable: true })
  description!: string | null;

  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' }, example: {} })
  metadata!: Record<string, string>;

  @ApiProperty({ example: false })
  requireApproval!: boolean;

  @ApiProperty({ type: BreakGlassDto, nullable: true, description: 'Null: freezes hold.' })
  breakGlass!: BreakGlassDto | null;

  @ApiProperty({
    type: 'string',
    format: 'uuid',
    nullable: true,
    description: 'The deployment whose request this one repeats.',
  })
  retryOf!: string | null;

  @ApiProperty({
    enum: deploymentStatuses,
    example: 'Running',
    description:
      'The last five are final, but Succeeded may go on to RollingBack. Failing after nodes were touched ends RolledBack, before that Failed.',
  })
  status!: DeploymentStatus;

  @ApiProperty({
    ...outcome,
    type: 'string',
    description:
      'How it came out; null: it is not over. Fast…: a person let it go on without waiting, or all nodes went back by a flip. Aborted: it ended Failed or Cancelled.',
  })
  outcome!: Outcome | null;

  @ApiProperty({ type: 'integer', minimum: 0, maximum: 100, example: 62 })
  progressPercent!: number;

  @ApiProperty({ type: ReasonDto })
  reason!: ReasonDto;

  @ApiProperty({ type: ExposureDto })
  exposure!: ExposureDto;

  @ApiProperty({
    type: RollbackDto,
    nullable: true,
    description: 'In all environments together; null: none was taken back.',
  })
  rollback!: RollbackDto | null;

  @ApiProperty(instant)
  createdAt!: string;

  @ApiProperty({ ...instant, nullable: true })
  startedAt!: string | null;

  @ApiProperty({ ...instant, nullable: true })
  finishedAt!: string | null;

  @ApiProperty({ type: 'string', nullable: true, pattern: '^[0-9a-f]{32}$', description: 'The deployment’s trace.' })
  traceId!: string | null;

  @ApiProperty({ type: [StageDto] })
  stages!: StageDto[];

  @ApiProperty({ type: DeploymentLinksDto })
  links!: DeploymentLinksDto;
}

@ApiSchema({ name: 'DeploymentList' })
export class DeploymentListDto {
  @ApiProperty({ type: [DeploymentDto] })
  items!: DeploymentDto[];

  @ApiProperty({ type: 'string', nullable: true, description: '`cursor` of the next page; null: this is the last.' })
  nextCursor!: string | null;
}

/** A deployment as the API shows it. */
export function showDeployment(record: DeploymentRecord): DeploymentDto {
  const { deployment, stages, exposure } = record;
  return {
    id: deployment.id,
    moduleName: deployment.module,
    version: deployment.version,
    digest: deployment.artifact,
    targetEnvironment: deployment.targetEnvironment,
    requesterEmail: deployment.requesterEmail,
    description: deployment.description,
    metadata: deployment.metadata,
    requireApproval: deployment.requireApproval,
    breakGlass: deployment.breakGlass,
    retryOf: deployment.retryOf,
    status: deployment.status,
    outcome: outcomeOf(deployment, stages),
    progressPercent: progressPercent(stages),
    reason: deployment.reason,
    exposure: { ...exposure, seconds: Math.round(exposure.seconds * 1000) / 1000 },
    rollback: showRollback(rollbackOf(stages)),
    createdAt: isoInstant(deployment.createdAt),
    startedAt: isoOrNull(deployment.startedAt),
    finishedAt: isoOrNull(deployment.finishedAt),
    traceId: deployment.traceparent?.split('-')[1] ?? null,
    stages: stages.map((stage) => showStage(stage, record)),
    links: {
      self: apiPaths.deployment(deployment.id),
      events: `${apiPaths.deployment(deployment.id)}/events`,
      rollback: `${apiPaths.deployment(deployment.id)}/rollback`,
      cluster: apiPaths.cluster(deployment.targetEnvironment),
      ...(deployment.retryOf && { retryOf: apiPaths.deployment(deployment.retryOf) }),
    },
  };
}

function showStage(stage: Stage, { deployment, nodes }: DeploymentRecord): StageDto {
  const { name, environment, status, progress } = stage;
  const skew = progress?.flipSkewMilliseconds;
  return {
    name,
    ...(environment && { environment }),
    ...(name === 'Deploy' && { strategy: stage.strategy }),
    status,
    startedAt: isoOrNull(stage.startedAt),
    finishedAt: isoOrNull(stage.finishedAt),
    ...(name === 'Deploy' && {
      fromVersion: stage.from?.version ?? null,
      toVersion: stage.to?.version ?? deployment.version,
      step: progress && { number: progress.number, of: progress.of, targetPercent: progress.targetPercent },
      nodes: nodes[stage.id] ?? null,
      flipSkewSeconds: typeof skew === 'number' ? skew / 1000 : null,
      outcome: outcomeOfStage(deployment, stage),
      rollback: showRollback(rollbackOfStage(stage)),
    }),
    reason: stage.reason ?? {},
  };
}

function showRollback(rollback: StageRollback | null): RollbackDto | null {
  if (!rollback) return null;
  const { decidedAt, confirmedAt, nodes, warmNodes } = rollback;
  return {
    decidedAt: isoInstant(decidedAt),
    confirmedAt: isoOrNull(confirmedAt),
    seconds: confirmedAt === null ? null : (confirmedAt - decidedAt) / 1000,
    nodes,
    warmNodes,
  };
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : isoInstant(at);
}
