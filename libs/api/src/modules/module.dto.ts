import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import type { EnvironmentName } from '@hotswap/domain';
import type { ModuleSummary, ModuleVersion } from '@hotswap/orchestrator';
import { IsString, MaxLength, MinLength } from 'class-validator';

const reasonLengthMax = 2000;

@ApiSchema({ name: 'Module' })
export class ModuleDto {
  @ApiProperty({ example: 'payment-processor' })
  name!: string;

  @ApiProperty({ type: [String], description: 'Newest first.', example: ['2.1.0', '2.0.0'] })
  versions!: string[];

  @ApiPropertyOptional({
    type: [String],
    description: 'Those that no new deployment takes any more; left out where there are none.',
    example: ['1.9.0'],
  })
  withdrawnVersions?: string[];

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'The version that each environment runs.',
    example: { Production: '2.0.0' },
  })
  environments!: Partial<Record<EnvironmentName, string>>;
}

@ApiSchema({ name: 'ModuleList' })
export class ModuleListDto {
  @ApiProperty({ type: [ModuleDto] })
  items!: ModuleDto[];

  @ApiProperty({ type: 'string', nullable: true })
  nextCursor!: string | null;
}

@ApiSchema({ name: 'ModuleVersion' })
export class ModuleVersionDto {
  @ApiProperty({ example: 'payment-processor' })
  name!: string;

  @ApiProperty({ example: '2.1.0' })
  version!: string;

  @ApiProperty({ description: 'sha256 of the artifact.', pattern: '^sha256:[0-9a-f]{64}$' })
  digest!: string;

  @ApiProperty({ type: 'integer', minimum: 0, example: 18_432 })
  sizeBytes!: number;

  @ApiProperty({ type: [String], description: 'Ids of the trusted keys that signed it.', example: ['payments-team'] })
  signers!: string[];

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  publishedAt!: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'The manifest with its defaults written out.',
  })
  manifest!: object;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Since when no new deployment takes it; left out while it may be deployed.',
    example: '2026-01-31T12:00:00.000Z',
  })
  withdrawnAt?: string;

  @ApiPropertyOptional({ type: 'string', nullable: true, example: 'Rounds amounts in JPY' })
  withdrawalReason?: string | null;
}

@ApiSchema({ name: 'Withdrawal' })
export class WithdrawDto {
  @ApiProperty({ minLength: 1, maxLength: reasonLengthMax, example: 'Rounds amounts in JPY' })
  @MaxLength(reasonLengthMax, { message: `must be at most ${reasonLengthMax} characters` })
  @MinLength(1, { message: 'must not be empty' })
  @IsString({ message: 'must be a text' })
  reason!: string;
}

export function showModuleVersion(published: ModuleVersion): ModuleVersionDto {
  const { name, version, digest, sizeBytes, signers, publishedAt, manifest, withdrawnAt, withdrawalReason } = published;
  return {
    name,
    version,
    digest,
    sizeBytes,
    signers,
    publishedAt: publishedAt.toISOString(),
    manifest,
    ...(withdrawnAt && { withdrawnAt: withdrawnAt.toISOString(), withdrawalReason }),
  };
}

export function showModule({ withdrawnVersions, ...module }: ModuleSummary): ModuleDto {
  return withdrawnVersions.length > 0 ? { ...module, withdrawnVersions } : module;
}
