import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { environments, type BreakGlass, type EnvironmentName } from '@hotswap/domain';
import { Transform } from 'class-transformer';
import {
  IsBoolean,
  IsEmail,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  MinLength,
  registerDecorator,
  type ValidationOptions,
} from 'class-validator';
import { Nested } from '../validation/nested.decorator.js';
import { OneOf } from '../validation/one-of.decorator.js';
import { isExactVersion, moduleNamePattern } from '../validation/path-parameters.js';

const metadataEntriesMax = 50;
const conflictRules = ['reject', 'supersede'] as const;

@ApiSchema({
  name: 'BreakGlass',
  description: 'Why freezes do not hold for this deployment, and who answers for it. It is recorded.',
})
export class BreakGlassDto implements BreakGlass {
  @ApiProperty({ minLength: 1, maxLength: 2000, example: 'Payments fail since 14:02 (INC-1234); this is the fix' })
  @MaxLength(2000, { message: 'must be at most 2000 characters' })
  @MinLength(1, { message: 'must say why' })
  @IsString({ message: 'must be a text' })
  reason!: string;

  @ApiProperty({ format: 'email', maxLength: 254, example: 'on-call@example.com' })
  @IsEmail({}, { message: 'must be an e-mail address' })
  byEmail!: string;
}

export class CreateDeploymentQuery {
  @ApiPropertyOptional({ type: Boolean, default: false, description: 'True: answers the plan, and writes nothing.' })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean({ message: 'must be true or false' })
  dryRun?: boolean;
}

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

  @ApiPropertyOptional({
    type: 'string',
    nullable: true,
    pattern: '^sha256:[0-9a-f]{64}$',
    description:
      'Of the plan that this deployment is to follow: refused when what the plan depends on has changed since.',
  })
  @IsOptional()
  @Matches(/^sha256:[0-9a-f]{64}$/, { message: 'must be the planRevision of a plan' })
  planRevision?: string | null;

  @ApiPropertyOptional({ type: BreakGlassDto, nullable: true, description: 'Freezes do not hold for this deployment.' })
  @IsOptional()
  @Nested(() => BreakGlassDto)
  breakGlass?: BreakGlassDto | null;
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
