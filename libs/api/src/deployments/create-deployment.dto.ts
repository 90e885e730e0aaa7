import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { environments, type EnvironmentName } from '@hotswap/domain';
import {
  IsBoolean,
  IsEmail,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  registerDecorator,
  type ValidationOptions,
} from 'class-validator';
import { OneOf } from '../validation/one-of.decorator.js';
import { isExactVersion, moduleNamePattern } from '../validation/path-parameters.js';

const metadataEntriesMax = 50;
const conflictRules = ['reject', 'supersede'] as const;

@ApiSchema({ name: 'CreateDeployment', description: 'This version of this module, up to this environment.' })
export class CreateDeploymentDto {
  @ApiProperty({ pattern: '^[a-z0-9-]{1,100}$', example: 'payment-processor' })
  @Matches(moduleNamePattern, { message: 'must be 1 to 100 of a-z, 0-9 and -' })
  moduleName!: string;

  @ApiProperty({ description: 'Exact semantic version.', maxLength: 256, example: '2.1.0' })
  @ExactVersion({ message: 'must be an exact semantic version such as 2.1.0' })
  version!: string;

  @ApiProperty({ enum: environments, description: 'Read case-insensitively. Environments before it come first.' })
  @OneOf(environments)
  targetEnvironment!: EnvironmentName;

  @ApiProperty({ format: 'email', maxLength: 254, example: 'user@example.com' })
  @IsEmail({}, { message: 'must be an e-mail address' })
  requesterEmail!: string;

  @ApiPropertyOptional({ type: 'string', nullable: true, maxLength: 2000, example: 'Faster currency conversion' })
  @IsOptional()
  @MaxLength(2000, { message: 'must be at most 2000 characters' })
  @IsString({ message: 'must be a text' })
  description?: string | null;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    maxProperties: metadataEntriesMax,
    example: { ticket: 'PAY-123' },
  })
  @IsOptional()
  @StringMap({ message: `must be an object of up to ${metadataEntriesMax} strings` })
  metadata?: Record<string, string> | null;

  @ApiPropertyOptional({ default: false, description: 'An Approval stage before Staging and before Production.' })
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  requireApproval?: boolean;

  @ApiPropertyOptional({
    enum: conflictRules,
    default: 'reject',
    description:
      'Where another deployment of the module is under way in one of the environments: refuse this one, or take that one back first.',
  })
  @IsOptional()
  @OneOf(conflictRules)
  onConflict?: (typeof conflictRules)[number];
}

function ExactVersion(options: ValidationOptions): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name: 'exactVersion',
      target: target.constructor,
      propertyName: propertyName as string,
      options,
      validator: { validate: isExactVersion },
    });
}

function StringMap(options: ValidationOptions): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name: 'stringMap',
      target: target.constructor,
      propertyName: propertyName as string,
      options,
      validator: { validate: isStringMap },
    });
}

function isStringMap(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const texts = Object.values(value);
  return texts.length <= metadataEntriesMax && texts.every((text) => typeof text === 'string');
}
