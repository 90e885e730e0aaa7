import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import {
  inconclusivePolicies,
  strategyNames,
  type CanaryAnalysis,
  type CanaryStep,
  type Guards,
  type InconclusivePolicy,
  type Policy,
  type StrategyName,
} from '@hotswap/domain';
import { ArrayMinSize, ArrayUnique, IsBoolean, IsNumber, IsOptional, Matches, MaxLength } from 'class-validator';
import { Amount, Count } from '../validation/amount.decorator.js';
import { Nested, NestedList } from '../validation/nested.decorator.js';
import { OneOf } from '../validation/one-of.decorator.js';
import { ApprovalPolicyDto, FreezeDto } from './freeze.dto.js';
import { AnalysisParametersRule, AscendingSteps, CheckLimits, NotBelow } from './policy-rules.decorator.js';

const daySeconds = 86_400;
// A number since OpenAPI 3.1; Nest's types still say boolean.
const positive = { exclusiveMinimum: 0 } as object;
const stepCountMax = 20;
const strategyName = /^[A-Za-z][A-Za-z0-9-]{0,49}$/;
const countOrPercent = /^(\d{1,4}|(100|\d{1,2})%)$/;
const countOrPercentMessage = { message: 'must be a count such as "1" or a share such as "25%"' };

@ApiSchema({ name: 'CanaryScout', description: 'One node that goes first with a small share of its requests.' })
export class CanaryScoutDto {
  @ApiProperty({ description: 'Share of the node’s requests.', ...positive, maximum: 100, example: 5 })
  @Amount({ above: 0, max: 100 })
  percent!: number;

  @ApiProperty({ minimum: 0, maximum: daySeconds, example: 60 })
  @Amount({ max: daySeconds })
  seconds!: number;
}

@ApiSchema({ name: 'CanaryStep' })
export class CanaryStepDto implements CanaryStep {
  @ApiProperty({ description: 'Share of all requests.', ...positive, maximum: 100, example: 30 })
  @Amount({ above: 0, max: 100 })
  percent!: number;

  @ApiProperty({ minimum: 0, maximum: daySeconds, example: 120 })
  @Amount({ max: daySeconds })
  minimumSeconds!: number;

  @ApiProperty({ minimum: 0, maximum: daySeconds, example: 900, description: 'At least `minimumSeconds`.' })
  @NotBelow('minimumSeconds')
  @Amount({ max: daySeconds })
  maximumSeconds!: number;

  @ApiPropertyOptional({
    default: false,
    description: 'It goes on only when a person promotes it; after 24 h without one it is taken back.',
  })
  @IsBoolean({ message: 'must be true or false' })
  @IsOptional()
  pause?: boolean;
}

@ApiSchema({ name: 'CanaryAnalysis', description: 'How target and stable are compared while both serve.' })
export class CanaryAnalysisDto implements CanaryAnalysis {
  @ApiPropertyOptional({
    default: true,
    description:
      'A second, fresh instance of stable on each node to compare with; false where memory forbids it: CPU and memory are then not compared.',
  })
  @IsBoolean({ message: 'must be true or false' })
  twin: boolean = true;

  @ApiPropertyOptional({
    minimum: 0,
    maximum: daySeconds,
    default: 0,
    description: 'Before the last step the target has run for so long: leaks need time, not requests.',
  })
  @Amount({ max: daySeconds })
  bakeSeconds: number = 0;

  @ApiPropertyOptional({
    enum: inconclusivePolicies,
    default: 'advance',
    description:
      'At the end of a step in which nothing was proved: go on, wait for a person, or send the manifest’s smoke requests.',
  })
  @OneOf(inconclusivePolicies)
  inconclusive: InconclusivePolicy = 'advance';

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    default: {},
    example: { alpha: 0.001 },
    description: 'Numbers of the analysis that differ from its standard ones; they are named in docs/analysis.md.',
  })
  @AnalysisParametersRule()
  parameters: Record<string, unknown> = {};
}

@ApiSchema({ name: 'CanaryPolicy' })
export class CanaryPolicyDto {
  @ApiPropertyOptional({ type: CanaryScoutDto, nullable: true, description: 'Null: none goes first.' })
  @IsOptional()
  @Nested(() => CanaryScoutDto)
  scout: CanaryScoutDto | null = null;

  @ApiProperty({
    type: [CanaryStepDto],
    minItems: 1,
    maxItems: stepCountMax,
    description: 'Rising shares; the last is 100.',
  })
  @AscendingSteps()
  @ArrayMinSize(1, { message: 'must have a step' })
  @NestedList(() => CanaryStepDto, stepCountMax)
  steps!: CanaryStepDto[];

  @ApiPropertyOptional({ type: CanaryAnalysisDto, nullable: true, description: 'Null: only the guards judge.' })
  @IsOptional()
  @Nested(() => CanaryAnalysisDto)
  analysis: CanaryAnalysisDto | null = new CanaryAnalysisDto();
}

@ApiSchema({ name: 'RollingPolicy' })
export class RollingPolicyDto {
  @ApiProperty({
    pattern: countOrPercent.source,
    description: 'Count or share of nodes; a share is rounded down.',
    example: '25%',
  })
  @Matches(countOrPercent, countOrPercentMessage)
  maxUnavailable!: string;

  @ApiProperty({
    pattern: countOrPercent.source,
    description: 'Count or share of nodes; a share is rounded up.',
    example: '0',
  })
  @Matches(countOrPercent, countOrPercentMessage)
  maxSurge!: string;

  @ApiProperty({ minimum: 0, maximum: daySeconds, example: 5 })
  @Amount({ max: daySeconds })
  minimumReadySeconds!: number;
}

@ApiSchema({ name: 'BlueGreenPolicy' })
export class BlueGreenPolicyDto {
  @ApiProperty({ example: true })
  @IsBoolean({ message: 'must be true or false' })
  autoPromote!: boolean;

  @ApiProperty({ minimum: 0, maximum: daySeconds, example: 30 })
  @Amount({ max: daySeconds })
  bakeSeconds!: number;
}

@ApiSchema({ name: 'Guards', description: 'Limits for every strategy. A failure is a 5xx, a time-out or no answer.' })
export class GuardsDto implements Guards {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 50,
    description: 'Fewer requests on the target are not judged.',
  })
  @Count(1_000_000_000)
  requestsMin!: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 3,
    description: 'Fewer failed requests on the target are not judged.',
  })
  @Count(1_000_000_000)
  failuresMin!: number;

  @ApiProperty({ minimum: 0, maximum: 1000, example: 2, description: 'Beside stable: times stable’s failed share, …' })
  @Amount({ max: 1000 })
  failedShareRatioMax!: number;

  @ApiProperty({
    minimum: 0,
    maximum: 100,
    example: 0.5,
    description: '… and more than this many percentage points above it.',
  })
  @Amount({ max: 100 })
  failedSharePointsMax!: number;

  @ApiProperty({
    minimum: 0,
    maximum: 100,
    example: 5,
    description: 'Where no stable serves: this failed share in percent, …',
  })
  @Amount({ max: 100 })
  failedSharePercentMax!: number;

  @ApiProperty({
    minimum: 0,
    maximum: 1000,
    example: 3,
    description: '… and more than this many times the minute before.',
  })
  @Amount({ max: 1000 })
  failedShareTimesBeforeMax!: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: 1000,
    example: 1,
    description: 'Unasked ends of its process on one node.',
  })
  @Count(1000)
  crashesMax!: number;

  @ApiPropertyOptional({
    ...positive,
    nullable: true,
    default: null,
    description: 'p99 of the target in the step; null: no limit.',
  })
  @IsOptional()
  @Amount({ above: 0, max: 1e9 })
  latencyP99MillisecondsMax: number | null = null;

  @ApiPropertyOptional({
    ...positive,
    nullable: true,
    default: null,
    description: 'Of one core, by one process of the target over half a minute; null: no limit.',
  })
  @IsOptional()
  @Amount({ above: 0, max: 1e6 })
  cpuPercentMax: number | null = null;

  @ApiPropertyOptional({
    ...positive,
    nullable: true,
    default: null,
    description: 'Of one process of the target; null: no limit.',
  })
  @IsOptional()
  @Amount({ above: 0, max: 1e9 })
  memoryMiBMax: number | null = null;
}

@ApiSchema({
  name: 'ExternalCheck',
  description:
    'Evidence from outside while the target has requests: a bad answer takes it back, and no step ends before a good one. No data and no answer are not good.',
})
export class ExternalCheckDto {
  @ApiProperty({ pattern: '^[a-z0-9-]{1,50}$', example: 'checkout-slo' })
  @Matches(/^[a-z0-9-]{1,50}$/, { message: 'must be 1 to 50 of a-z, 0-9 and -' })
  name!: string;

  @ApiProperty({ enum: ['prometheus', 'webhook'] })
  @OneOf(['prometheus', 'webhook'] as const)
  kind!: 'prometheus' | 'webhook';

  @ApiProperty({
    description:
      'http or https. Redirects are not followed; private addresses only where HOTSWAP_CHECK_HOSTS names the host.',
    example: 'https://prometheus.example.com',
  })
  @Matches(/^https?:\/\/[^\s@]{1,1000}$/, { message: 'must be an http or https address without credentials' })
  url!: string;

  @ApiPropertyOptional({ minimum: 5, maximum: 3600, default: 15, description: 'It is asked once in so many seconds.' })
  @Amount({ above: 4.999, max: 3600 })
  intervalSeconds: number = 15;

  @ApiPropertyOptional({
    maxLength: 2000,
    description: 'PromQL, for prometheus.',
    example: 'sum(rate(errors_total[1m]))',
  })
  @CheckLimits()
  @MaxLength(2000, { message: 'must have at most 2000 characters' })
  query: string = '';

  @ApiPropertyOptional({
    type: Number,
    nullable: true,
    default: null,
    description: 'Good at or above, for prometheus.',
  })
  @IsOptional()
  @IsNumber({}, { message: 'must be a number' })
  min: number | null = null;

  @ApiPropertyOptional({
    type: Number,
    nullable: true,
    default: null,
    description: 'Good at or below, for prometheus.',
  })
  @IsOptional()
  @IsNumber({}, { message: 'must be a number' })
  max: number | null = null;
}

@ApiSchema({ name: 'Policy', description: 'Every number of how an environment takes a new release.' })
export class PolicyDto implements Policy {
  @ApiProperty({
    type: 'string',
    pattern: strategyName.source,
    description: `${strategyNames.join(', ')}, or one that was added to this control plane; read case-insensitively.`,
    example: 'Canary',
  })
  @Matches(strategyName, { message: 'must be the name of a strategy, of letters, digits and -' })
  strategy!: StrategyName;

  @ApiProperty({ type: CanaryPolicyDto })
  @Nested(() => CanaryPolicyDto)
  canary!: CanaryPolicyDto;

  @ApiProperty({ type: RollingPolicyDto })
  @Nested(() => RollingPolicyDto)
  rolling!: RollingPolicyDto;

  @ApiProperty({ type: BlueGreenPolicyDto })
  @Nested(() => BlueGreenPolicyDto)
  blueGreen!: BlueGreenPolicyDto;

  @ApiProperty({ type: GuardsDto })
  @Nested(() => GuardsDto)
  guards!: GuardsDto;

  @ApiPropertyOptional({ type: [ExternalCheckDto], maxItems: 10, default: [] })
  @ArrayUnique((each: ExternalCheckDto | null) => each?.name, { message: 'must have names of their own' })
  @NestedList(() => ExternalCheckDto, 10)
  checks: ExternalCheckDto[] = [];

  @ApiPropertyOptional({ type: [FreezeDto], maxItems: 20, default: [] })
  @ArrayUnique((each: FreezeDto | null) => each?.name, { message: 'must have names of their own' })
  @NestedList(() => FreezeDto, 20)
  freeze: FreezeDto[] = [];

  @ApiPropertyOptional({ type: ApprovalPolicyDto, default: { required: 1, always: false } })
  @Nested(() => ApprovalPolicyDto)
  approval: ApprovalPolicyDto = new ApprovalPolicyDto();

  @ApiProperty({
    minimum: 0,
    maximum: 7 * daySeconds,
    example: 900,
    description: 'How long a replaced release stays started.',
  })
  @Amount({ max: 7 * daySeconds })
  warmSeconds!: number;

  @ApiPropertyOptional({
    minimum: 0,
    maximum: 3600,
    default: 30,
    description: 'For requests in flight in a replaced instance.',
  })
  @Amount({ max: 3600 })
  drainSeconds: number = 30;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: 10_000,
    example: 1,
    description: 'More silent nodes hold a rollout.',
  })
  @Count(10_000)
  lostNodesMax!: number;

  @ApiProperty({
    ...positive,
    maximum: daySeconds,
    example: 600,
    description: 'A step not confirmed by then fails.',
  })
  @Amount({ above: 0, max: daySeconds })
  progressDeadlineSeconds!: number;

  @ApiPropertyOptional({
    minimum: 0,
    maximum: daySeconds,
    default: 10,
    description: 'Healthy for so long before Succeeded.',
  })
  @Amount({ max: daySeconds })
  validateSeconds: number = 10;
}
