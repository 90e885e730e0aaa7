import { ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { deploymentStatuses, environments, type DeploymentStatus, type EnvironmentName } from '@hotswap/domain';
import { IsBoolean, IsEmail, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { Nested } from '../validation/nested.decorator.js';
import { OneOf } from '../validation/one-of.decorator.js';
import { PageQuery } from '../validation/page-query.dto.js';
import { moduleNamePattern } from '../validation/path-parameters.js';
import { QueryInstant } from '../validation/query-instant.decorator.js';
import { BreakGlassDto } from './create-deployment.dto.js';

const scopes = ['environment', 'all'] as const;

export class ListDeploymentsQuery extends PageQuery {
  @ApiPropertyOptional({ enum: deploymentStatuses })
  @IsOptional()
  @OneOf(deploymentStatuses)
  status?: DeploymentStatus;

  @ApiPropertyOptional({ pattern: '^[a-z0-9-]{1,100}$' })
  @IsOptional()
  @Matches(moduleNamePattern, { message: 'must be 1 to 100 of a-z, 0-9 and -' })
  moduleName?: string;

  @ApiPropertyOptional({ enum: environments, description: 'Deployments whose target it is.' })
  @IsOptional()
  @OneOf(environments)
  environment?: EnvironmentName;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', description: 'Created at or after.' })
  @IsOptional()
  @QueryInstant()
  from?: Date;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', description: 'Created before.' })
  @IsOptional()
  @QueryInstant()
  to?: Date;
}

/** What every request to change a deployment's way, or to drain a node, may say. */
@ApiSchema({ name: 'RequestReason' })
export class WithReasonDto {
  @ApiPropertyOptional({ type: 'string', nullable: true, maxLength: 2000, example: 'Wrong version' })
  @IsOptional()
  @MaxLength(2000, { message: 'must be at most 2000 characters' })
  @IsString({ message: 'must be a text' })
  reason?: string | null;
}

@ApiSchema({ name: 'RollBackDeployment' })
export class RollBackDto extends WithReasonDto {
  @ApiPropertyOptional({
    enum: scopes,
    default: 'environment',
    description: 'The environment in hand (of a finished deployment: its target), or every environment it changed.',
  })
  @IsOptional()
  @OneOf(scopes)
  scope?: (typeof scopes)[number];
}

@ApiSchema({ name: 'PromoteDeployment' })
export class PromoteDto extends WithReasonDto {
  @ApiPropertyOptional({
    default: false,
    description: 'All steps of the Deploy stage in hand; else only the next one is not waited for.',
  })
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  full?: boolean;
}

@ApiSchema({ name: 'RetryDeployment' })
export class RetryDto {
  @ApiPropertyOptional({
    type: 'string',
    format: 'email',
    maxLength: 254,
    nullable: true,
    example: 'user@example.com',
    description: 'Who asks for it now; left out: who asked before.',
  })
  @IsOptional()
  @IsEmail({}, { message: 'must be an e-mail address' })
  requesterEmail?: string | null;

  @ApiPropertyOptional({
    type: BreakGlassDto,
    nullable: true,
    description: 'Freezes do not hold for this deployment; that they did not hold for the one before is not enough.',
  })
  @IsOptional()
  @Nested(() => BreakGlassDto)
  breakGlass?: BreakGlassDto | null;
}
