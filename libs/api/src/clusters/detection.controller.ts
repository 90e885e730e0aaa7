import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiProperty, ApiResponse, ApiSchema, ApiTags } from '@nestjs/swagger';
import { environments, forecastDetection, type EnvironmentName } from '@hotswap/domain';
import { ClusterStore } from '@hotswap/orchestrator';
import { Matches } from 'class-validator';
import { ApiProblems } from '../problem/api-problems.decorator.js';
import { EnvironmentPipe, moduleNamePattern } from '../validation/path-parameters.js';
import { ClusterMetrics } from './cluster-metrics.js';
import { DetectionStepDto } from './detection-step.dto.js';

const windowSeconds = 300;

class DetectionQuery {
  @ApiProperty({ pattern: '^[a-z0-9-]{1,100}$', description: 'Whose traffic it is.' })
  @Matches(moduleNamePattern, { message: 'must be 1 to 100 of a-z, 0-9 and -' })
  moduleName!: string;
}

@ApiSchema({
  name: 'Detection',
  description: 'What a canary could find, and when, at the traffic of the last five minutes.',
})
class DetectionDto {
  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;

  @ApiProperty({ example: 'payment-processor' })
  moduleName!: string;

  @ApiProperty({ minimum: 0, example: 1000 })
  requestsPerSecond!: number;

  @ApiProperty({ minimum: 0, maximum: 100, example: 0.1 })
  errorRatePercent!: number;

  @ApiProperty({
    type: [DetectionStepDto],
    description: 'One per share of the policy’s canary in which both are compared.',
  })
  steps!: DetectionStepDto[];
}

@ApiTags('Clusters')
@Controller('api/v1/clusters')
export class DetectionController {
  constructor(
    private readonly clusters: ClusterStore,
    private readonly metrics: ClusterMetrics,
  ) {}

  @Get(':environment/detection')
  @ApiOperation({
    operationId: 'forecastDetection',
    summary: 'How soon a canary would find a worse version',
    description:
      'Minutes until an error rate that is so many times as high would be contained, at each share of the canary.',
  })
  @ApiParam({ name: 'environment', enum: environments, description: 'Read case-insensitively.' })
  @ApiResponse({ status: 200, type: DetectionDto, description: 'A forecast.' })
  @ApiProblems('validation-failed', 'environment-not-found')
  async forecast(
    @Param('environment', EnvironmentPipe) environment: EnvironmentName,
    @Query() { moduleName }: DetectionQuery,
  ): Promise<DetectionDto> {
    const { policy } = await this.clusters.policy(environment);
    const { at } = await this.metrics.read(environment, { moduleName });
    const from = new Date(Date.parse(at) - windowSeconds * 1000);
    const { cluster } = await this.metrics.read(environment, { moduleName, from, to: new Date(at) });
    const requestsPerSecond = cluster.requestsPerSecond ?? 0;
    const errorRatePercent = cluster.errorRatePercent ?? 0;
    const steps = forecastDetection(policy, { requestsPerSecond, errorRate: errorRatePercent / 100 });
    return { environment, moduleName, requestsPerSecond, errorRatePercent, steps };
  }
}
