import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { environments, isoInstant, type EnvironmentName } from '@hotswap/domain';
import type { StageAnalysis } from '@hotswap/orchestrator';
import { IsOptional } from 'class-validator';
import { AnalysisParametersRule } from '../clusters/policy-rules.decorator.js';
import { OneOf } from '../validation/one-of.decorator.js';

const free = { type: 'object', additionalProperties: true } as const;

@ApiSchema({
  name: 'StageAnalysis',
  description: 'How one rollout was judged; its numbers are named in docs/analysis.md.',
})
export class StageAnalysisDto {
  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;

  @ApiProperty({ type: String, nullable: true, example: '2.0.0' })
  stableVersion!: string | null;

  @ApiProperty({ example: '2.1.0' })
  targetVersion!: string;

  @ApiProperty({
    format: 'date-time',
    description: 'Second 0 of every `at` below.',
    example: '2026-01-31T12:00:00.000Z',
  })
  beganAt!: string;

  @ApiProperty({
    format: 'date-time',
    description: 'End of the last block that was taken in.',
    example: '2026-01-31T12:02:00.000Z',
  })
  until!: string;

  @ApiProperty({ ...free, description: 'Every number that it was judged by.' })
  parameters!: object;

  @ApiProperty({ ...free, nullable: true, description: 'The newest look: E by metric, and of the proofs.' })
  standing!: object | null;

  @ApiProperty({
    type: 'array',
    items: free,
    description: 'How it was driven, and every verdict with its deciding rule.',
  })
  entries!: object[];
}

@ApiSchema({ name: 'DeploymentAnalysis' })
export class DeploymentAnalysisDto {
  @ApiProperty({ type: [StageAnalysisDto] })
  items!: StageAnalysisDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor!: string | null;
}

export class RecordingQuery {
  @ApiPropertyOptional({ enum: environments, description: 'The last analysed environment by default.' })
  @IsOptional()
  @OneOf(environments)
  environment?: EnvironmentName;
}

@ApiSchema({ name: 'Replay' })
export class ReplayDto {
  @ApiPropertyOptional({ enum: environments, description: 'The last analysed environment by default.' })
  @IsOptional()
  @OneOf(environments)
  environment?: EnvironmentName;

  @ApiPropertyOptional({ ...free, default: {}, description: 'Numbers that differ from those it was judged by.' })
  @IsOptional()
  @AnalysisParametersRule()
  parameters?: Record<string, unknown>;
}

@ApiSchema({ name: 'ReplayAnswer' })
export class ReplayAnswerDto {
  @ApiProperty({ type: 'array', items: free, description: 'Every verdict that is not `none`, in time order.' })
  verdicts!: object[];

  @ApiProperty({ ...free, description: '`rollback`, `promoted` or `undecided`, when, after how many blocks.' })
  summary!: object;
}

export function showStageAnalysis(stage: StageAnalysis): StageAnalysisDto {
  return {
    environment: stage.environment,
    stableVersion: stage.stable?.version ?? null,
    targetVersion: stage.target.version,
    beganAt: isoInstant(stage.beganAt.getTime()),
    until: isoInstant(stage.until.getTime()),
    parameters: stage.parameters,
    standing: stage.standing,
    entries: stage.entries,
  };
}
