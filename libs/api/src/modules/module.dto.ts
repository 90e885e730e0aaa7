import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { EnvironmentName } from '@hotswap/domain';
import type { ModuleVersion } from '@hotswap/orchestrator';
import { IsString, MaxLength, MinLength } from 'class-validator';

const reasonLengthMax = 2000;

@ApiSchema({ name: 'Module' })
export class ModuleDto {
  @ApiProperty({ example: 'payment-processor' })
  name!: string;

  @ApiProperty({ type: [String], description: 'Newest first.', example: ['2.1.0', '2.0.0'] })
  versions!: string[];

  @ApiProperty({ type: [String], description: 'Those that no new deployment takes any more.', example: ['1.9.0'] })
  withdrawnVersions!: string[];

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

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'Since when no new deployment takes it; null: it may be deployed.',
    example: null,
  })
  withdrawnAt!: string | null;

  @ApiProperty({ type: 'string', nullable: true, example: null })
  withdrawalReason!: string | null;
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
    withdrawnAt: withdrawnAt?.toISOString() ?? null,
    withdrawalReason,
  };
}
