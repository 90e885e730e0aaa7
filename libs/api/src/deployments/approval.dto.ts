import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { environments, isoInstant, type EnvironmentName } from '@hotswap/domain';
import { approvalStatuses, type ApprovalRecord, type ApprovalStatus } from '@hotswap/orchestrator';
import { IsEmail, IsOptional } from 'class-validator';
import { OneOf } from '../validation/one-of.decorator.js';
import { PageQuery } from '../validation/page-query.dto.js';
import { WithReasonDto } from './deployment-requests.dto.js';

export class ListApprovalsQuery extends PageQuery {
  @ApiPropertyOptional({ enum: approvalStatuses })
  @IsOptional()
  @OneOf(approvalStatuses)
  status?: ApprovalStatus;
}

@ApiSchema({ name: 'ApprovalVerdict' })
export class ApprovalVerdictDto extends WithReasonDto {
  @ApiProperty({ format: 'email', maxLength: 254, example: 'lead@example.com' })
  @IsEmail({}, { message: 'must be an e-mail address' })
  approverEmail!: string;
}

@ApiSchema({ name: 'Approver' })
export class ApproverDto {
  @ApiProperty({ format: 'email', example: 'lead@example.com' })
  approverEmail!: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'Looks good' })
  reason!: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:05:00.000Z' })
  at!: string;
}

@ApiSchema({ name: 'Approval' })
export class ApprovalDto {
  @ApiProperty({ format: 'uuid' })
  deploymentId!: string;

  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;

  @ApiProperty({ example: 'payment-processor' })
  moduleName!: string;

  @ApiProperty({ example: '2.1.0' })
  version!: string;

  @ApiProperty({ description: 'sha256 of the artifact.', pattern: '^sha256:[0-9a-f]{64}$' })
  digest!: string;

  @ApiProperty({ format: 'email', example: 'user@example.com' })
  requesterEmail!: string;

  @ApiProperty({ enum: approvalStatuses, description: '`Expired`: it ended before anybody decided.' })
  status!: ApprovalStatus;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  requestedAt!: string;

  @ApiProperty({ format: 'date-time', example: '2026-02-01T12:00:00.000Z' })
  expiresAt!: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 1, description: 'So many people have to approve.' })
  requiredApprovals!: number;

  @ApiProperty({ type: [ApproverDto], description: 'Who has approved so far.' })
  approvals!: ApproverDto[];

  @ApiProperty({ type: 'string', nullable: true, example: 'lead@example.com', description: 'Whose word was the last.' })
  decidedBy!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true, example: '2026-01-31T12:05:00.000Z' })
  decidedAt!: string | null;

  @ApiProperty({ type: 'string', nullable: true, example: 'Looks good' })
  decisionReason!: string | null;
}

@ApiSchema({ name: 'ApprovalList' })
export class ApprovalListDto {
  @ApiProperty({ type: [ApprovalDto] })
  items!: ApprovalDto[];

  @ApiProperty({ type: 'string', nullable: true })
  nextCursor!: string | null;
}

export function showApproval(record: ApprovalRecord): ApprovalDto {
  const { deploymentId, environment, version, requesterEmail, status, verdict } = record;
  return {
    deploymentId,
    environment,
    moduleName: record.module,
    version,
    digest: record.artifact,
    requesterEmail,
    status,
    requestedAt: isoInstant(record.requestedAt),
    expiresAt: isoInstant(record.expiresAt),
    requiredApprovals: record.required,
    approvals: record.approvals.map(({ by, reason, at }) => ({ approverEmail: by, reason, at: isoInstant(at) })),
    decidedBy: verdict?.by ?? null,
    decidedAt: verdict ? isoInstant(verdict.at) : null,
    decisionReason: verdict?.reason ?? null,
  };
}
