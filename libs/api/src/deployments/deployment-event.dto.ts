import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { environments, type EnvironmentName } from '@hotswap/domain';
import type { DeploymentEvent } from '@hotswap/orchestrator';

@ApiSchema({ name: 'DeploymentEvent' })
export class DeploymentEventDto {
  @ApiProperty({ type: 'integer', description: 'Rises with time.', example: 17 })
  id!: number;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  at!: string;

  @ApiProperty({ example: 'step-advanced' })
  type!: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'Deploy' })
  stage!: string | null;

  @ApiProperty({ type: 'string', enum: [...environments, null], nullable: true, example: 'Production' })
  environment!: EnvironmentName | null;

  @ApiProperty({ example: 'Canary step 2 of 4: 30 % of requests' })
  message!: string;

  @ApiProperty({ type: 'object', additionalProperties: true })
  data!: Record<string, unknown>;
}

@ApiSchema({ name: 'DeploymentEventList' })
export class DeploymentEventListDto {
  @ApiProperty({ type: [DeploymentEventDto] })
  items!: DeploymentEventDto[];

  @ApiProperty({ type: 'string', nullable: true })
  nextCursor!: string | null;
}

export function showEvent(event: DeploymentEvent): DeploymentEventDto {
  const { id, at, type, stage, environment, message, data } = event;
  return { id, at: at.toISOString(), type, stage, environment, message, data };
}
