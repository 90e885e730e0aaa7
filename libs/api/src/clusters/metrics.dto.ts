import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { environments, type EnvironmentName } from '@hotswap/domain';
import { IsOptional, Matches } from 'class-validator';
import { moduleNamePattern } from '../validation/path-parameters.js';
import { QueryInstant } from '../validation/query-instant.decorator.js';
import { QueryInteger } from '../validation/query-integer.decorator.js';

export class MetricsQuery {
  @ApiPropertyOptional({ type: 'string', format: 'date-time', description: 'One minute before `to` by default.' })
  @IsOptional()
  @QueryInstant()
  from?: Date;

  @ApiPropertyOptional({
    type: 'string',
    format: 'date-time',
    description: 'Now by default; at most a week after `from`.',
  })
  @IsOptional()
  @QueryInstant()
  to?: Date;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 86_400,
    description: 'Of `series`, which has at most 1,000 points; a twelfth of the window by default.',
  })
  @IsOptional()
  @QueryInteger(1, 86_400)
  stepSeconds?: number;

  @ApiPropertyOptional({ pattern: '^[a-z0-9-]{1,100}$', description: 'Only this module.' })
  @IsOptional()
  @Matches(moduleNamePattern, { message: 'must be 1 to 100 of a-z, 0-9 and -' })
  moduleName?: string;
}

const seen = { type: 'number', minimum: 0, nullable: true } as const;

@ApiSchema({ name: 'LatencyMs', description: 'Milliseconds; null where no request was answered.' })
export class LatencyDto {
  @ApiProperty({ ...seen, example: 4.2 })
  mean!: number | null;

  @ApiProperty({ ...seen, example: 3.9 })
  p50!: number | null;

  @ApiProperty({ ...seen, example: 9.1 })
  p95!: number | null;

  @ApiProperty({ ...seen, example: 14.7 })
  p99!: number | null;
}

@ApiSchema({ name: 'Measures', description: 'What was measured; null where nothing was seen.' })
export class MeasuresDto {
  @ApiProperty({ ...seen, example: 18_220 })
  requests!: number | null;

  @ApiProperty({ ...seen, example: 303.7 })
  requestsPerSecond!: number | null;

  @ApiProperty({ ...seen, example: 0, description: '5xx, time-outs and requests without an answer.' })
  failures!: number | null;

  @ApiProperty({ ...seen, maximum: 100, example: 0 })
  errorRatePercent!: number | null;

  @ApiProperty({ type: LatencyDto })
  latencyMs!: LatencyDto;

  @ApiProperty({ ...seen, example: 3 })
  inFlight!: number | null;

  @ApiProperty({ ...seen, example: 12.5, description: 'Of one core, summed over the instances.' })
  cpuPercent!: number | null;

  @ApiProperty({ ...seen, example: 92.4, description: 'Resident memory, summed over the instances.' })
  memoryMiB!: number | null;

  @ApiProperty({ ...seen, example: 1.1, description: 'Of the slowest instance.' })
  eventLoopDelayMs!: number | null;
}

@ApiSchema({ name: 'ModuleMeasures' })
export class ModuleMeasuresDto extends MeasuresDto {
  @ApiProperty({ example: 'payment-processor' })
  name!: string;

  @ApiProperty({ example: '2.1.0' })
  version!: string;
}

@ApiSchema({ name: 'NodeMeasures' })
export class NodeMeasuresDto extends MeasuresDto {
  @ApiProperty({ example: 'a4c0ffee' })
  id!: string;
}

@ApiSchema({ name: 'MeasuresAt' })
export class MeasuresAtDto extends MeasuresDto {
  @ApiProperty({ format: 'date-time', description: 'The end of the step.', example: '2026-01-31T12:00:00.000Z' })
  at!: string;
}

@ApiSchema({ name: 'ClusterMetrics' })
export class ClusterMetricsDto {
  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;

  @ApiProperty({ format: 'date-time', description: 'The end of the window.', example: '2026-01-31T12:00:00.000Z' })
  at!: string;

  @ApiProperty({ minimum: 0, example: 60 })
  windowSeconds!: number;

  @ApiProperty({ type: MeasuresDto })
  cluster!: MeasuresDto;

  @ApiProperty({ type: [ModuleMeasuresDto] })
  modules!: ModuleMeasuresDto[];

  @ApiProperty({ type: [NodeMeasuresDto] })
  nodes!: NodeMeasuresDto[];

  @ApiProperty({ type: [MeasuresAtDto] })
  series!: MeasuresAtDto[];
}
