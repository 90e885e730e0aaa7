import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import {
  deploymentStatuses,
  environments,
  isoInstant,
  type DeploymentStatus,
  type EnvironmentName,
} from '@hotswap/domain';
import type { DecisionRecord, Explanation, Page } from '@hotswap/orchestrator';

const anyObject = { type: 'object', additionalProperties: true } as const;
const instantOrNull = {
  type: 'string',
  format: 'date-time',
  nullable: true,
  example: '2026-01-31T12:00:00.000Z',
} as const;
const stage = { type: 'string', nullable: true, example: 'Deploy' } as const;
const environment = { type: 'string' as const, enum: [...environments, null], nullable: true, example: 'Production' };
const rule = { description: 'Which rule decided; stable.', example: 'baking' };

@ApiSchema({ name: 'WhyNow' })
export class WhyNowDto {
  @ApiProperty({ ...stage, description: 'The stage in hand; null once the deployment has ended.' })
  stage!: string | null;

  @ApiProperty(environment)
  environment!: EnvironmentName | null;

  @ApiProperty(rule)
  rule!: string;

  @ApiProperty({ example: 'Canary step 2 of 4 (30 % of requests): 41 s of at least 120 s' })
  message!: string;

  @ApiProperty({ ...anyObject, description: 'The numbers that the rule looks at.' })
  numbers!: Record<string, unknown>;

  @ApiProperty({
    type: 'string',
    enum: ['Time', 'Nodes', 'Evidence', 'Deployment', 'Person', null],
    nullable: true,
    description: 'What ends the wait; null: it does not wait.',
  })
  waitsFor!: Explanation['waitsFor'];

  @ApiProperty({ ...instantOrNull, description: 'When the wait ends by itself at the latest; null: it does not.' })
  untilAt!: string | null;

  @ApiProperty({ ...instantOrNull, description: 'When the control plane looks again, if nothing happens before.' })
  looksAgainAt!: string | null;
}

@ApiSchema({ name: 'Decision' })
export class DecisionDto {
  @ApiProperty({ type: 'integer', description: 'Rises with time.', example: 17 })
  id!: number;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  at!: string;

  @ApiProperty({ enum: ['hold', 'gather', 'advance', 'complete-stage', 'roll-back', 'finish'], example: 'advance' })
  kind!: string;

  @ApiProperty(stage)
  stage!: string | null;

  @ApiProperty(environment)
  environment!: EnvironmentName | null;

  @ApiProperty(rule)
  rule!: string;

  @ApiProperty({ example: 'Canary step 2 of 4 (30 % of requests) starts on 5 nodes' })
  message!: string;

  @ApiProperty({ ...anyObject, description: 'The numbers that the rule looked at.' })
  numbers!: Record<string, unknown>;

  @ApiProperty({ ...anyObject, description: 'Revisions of what it had read; they still held when it was committed.' })
  revisions!: Record<string, unknown>;

  @ApiProperty({ ...anyObject, description: 'What it changed, releases as digests.' })
  changes!: Record<string, unknown>;
}

@ApiSchema({ name: 'Explanation' })
export class ExplanationDto {
  @ApiProperty({ enum: deploymentStatuses, example: 'Running' })
  status!: DeploymentStatus;

  @ApiProperty({ type: WhyNowDto })
  now!: WhyNowDto;

  @ApiProperty({ type: [DecisionDto], description: 'Newest first; a wait once.' })
  items!: DecisionDto[];

  @ApiProperty({ type: 'string', nullable: true })
  nextCursor!: string | null;
}

export function showExplanation(explanation: Explanation, { items, nextCursor }: Page<DecisionRecord>): ExplanationDto {
  const { status, stage: inHand, because, waitsFor, untilAt, recheckAt } = explanation;
  return {
    status,
    now: {
      stage: inHand?.name ?? null,
      environment: inHand?.environment ?? null,
      rule: because.code,
      message: because.message,
      numbers: because.data,
      waitsFor,
      untilAt,
      looksAgainAt: recheckAt === null ? null : isoInstant(recheckAt),
    },
    items: items.map(({ at, because: { code, message, data }, ...decision }) => ({
      ...decision,
      at: at.toISOString(),
      rule: code,
      message,
      numbers: data,
    })),
    nextCursor,
  };
}
