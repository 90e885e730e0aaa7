import {
  latencyBucketSeconds,
  trafficRoles,
  type FailureKind,
  type InstanceReport,
  type InstanceState,
  type ModuleReport,
  type NodeReport,
  type PhaseSeconds,
  type ReportedNodeState,
  type SwapReport,
  type TrafficRole,
  type TrafficSample,
} from '@hotswap/agent-protocol';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { Amount, Count } from '../validation/amount.decorator.js';
import { Nested, NestedList } from '../validation/nested.decorator.js';
import { moduleNamePattern, nodeIdPattern } from '../validation/path-parameters.js';
import { DocumentPositionDto } from './join.dto.js';

const nodeStates: ReportedNodeState[] = ['Starting', 'Ready', 'LameDuck', 'Draining', 'Gone'];
const instanceStates: InstanceState[] = [
  'Fetching',
  'Verifying',
  'Loading',
  'Starting',
  'Ready',
  'Active',
  'Warm',
  'Draining',
  'Failed',
];
const failureKinds: FailureKind[] = [
  'fetch',
  'digest',
  'signature',
  'artifact',
  'memory',
  'load',
  'start',
  'health',
  'smoke',
  'activate',
  'crash-loop',
];
const swapBeginnings: SwapReport['began'][] = ['waiting', 'spare', 'new'];
const digest = /^sha256:[0-9a-f]{64}$/;
const digestMessage = { message: 'must be sha256:<64 hex digits>' };
const modulesMax = 1000;
const instancesMax = 100;
// A node answers far fewer requests in one interval; the database counts in 32 bits.
const countMax = 2_000_000_000;
const quantityMax = 1e15;

class PhaseSecondsDto implements PhaseSeconds {
  @IsOptional()
  @Amount({ max: quantityMax })
  load?: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  start?: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  health?: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  smoke?: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  activate?: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  drain?: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  retire?: number;
}

class InstanceDto implements InstanceReport {
  @Matches(digest, digestMessage)
  release!: string;

  @MaxLength(256)
  @IsString()
  version!: string;

  @IsOptional()
  @IsBoolean()
  twin?: boolean;

  @IsIn(instanceStates)
  state!: InstanceState;

  @IsOptional()
  @MaxLength(10_000)
  @IsString()
  error!: string | null;

  @IsOptional()
  @IsIn(failureKinds)
  failureKind!: FailureKind | null;

  @Count(2 ** 31 - 1)
  crashes!: number;

  @IsOptional()
  @Count(2 ** 31 - 1)
  pid!: number | null;

  @IsOptional()
  @IsBoolean()
  isSpare?: boolean;

  @IsOptional()
  @Nested(() => PhaseSecondsDto)
  phaseSeconds?: PhaseSecondsDto;
}

class SwapDto implements SwapReport {
  @Matches(digest, digestMessage)
  release!: string;

  @IsOptional()
  @Matches(digest, digestMessage)
  from!: string | null;

  @Amount({ max: quantityMax })
  seconds!: number;

  @IsIn(swapBeginnings)
  began!: SwapReport['began'];

  @Count(countMax)
  held!: number;

  @IsOptional()
  @Count(quantityMax)
  stateBytes!: number | null;

  @IsOptional()
  @Count(countMax)
  drained!: number | null;

  @IsOptional()
  @Count(countMax)
  cut!: number | null;
}

class ModuleReportDto implements ModuleReport {
  @Matches(moduleNamePattern)
  module!: string;

  @IsOptional()
  @Matches(digest, digestMessage)
  active!: string | null;

  @IsOptional()
  @Matches(digest, digestMessage)
  candidate!: string | null;

  @Amount({ max: 100 })
  candidatePercent!: number;

  @IsOptional()
  @IsBoolean()
  twin?: boolean;

  @IsBoolean()
  servingFallback!: boolean;

  @IsOptional()
  @Nested(() => SwapDto)
  lastSwap?: SwapDto;

  @NestedList(() => InstanceDto, instancesMax)
  instances!: InstanceDto[];
}

class TrafficSampleDto implements TrafficSample {
  @Matches(moduleNamePattern)
  module!: string;

  @Matches(digest, digestMessage)
  release!: string;

  @MaxLength(256)
  @IsString()
  version!: string;

  @IsOptional()
  @IsIn(trafficRoles)
  role?: TrafficRole;

  @Count(countMax)
  requests!: number;

  @Count(countMax)
  failures!: number;

  @Min(0, { each: true })
  @Max(countMax, { each: true })
  @IsInt({ each: true })
  @ArrayMinSize(latencyBucketSeconds.length + 1)
  @ArrayMaxSize(latencyBucketSeconds.length + 1)
  @IsArray()
  latency!: number[];

  @Amount({ max: quantityMax })
  latencySumSeconds!: number;

  @Count(2 ** 31 - 1)
  inFlight!: number;

  @IsOptional()
  @Amount({ max: quantityMax })
  cpuSeconds!: number | null;

  @IsOptional()
  @Count(quantityMax)
  rssBytes!: number | null;

  @IsOptional()
  @Amount({ max: quantityMax })
  eventLoopDelaySeconds!: number | null;
}

class ProcessDto {
  @Amount({ max: quantityMax })
  cpuSeconds!: number;

  @Count(quantityMax)
  rssBytes!: number;

  @Amount({ max: quantityMax })
  eventLoopDelaySeconds!: number;
}

class MemoryDto {
  @Count(quantityMax)
  bytesMax!: number;

  @Count(quantityMax)
  takenBytes!: number;
}

const releaseOf = (each: TrafficSampleDto | null) => `${each?.module} ${each?.release} ${each?.role ?? 'active'}`;

export class ReportDto implements NodeReport {
  @Matches(nodeIdPattern)
  bootId!: string;

  @Count(Number.MAX_SAFE_INTEGER)
  sequence!: number;

  @IsIn(nodeStates)
  state!: ReportedNodeState;

  @IsOptional()
  @Nested(() => DocumentPositionDto)
  accepted!: DocumentPositionDto | null;

  @IsOptional()
  @MaxLength(10_000)
  @IsString()
  refused!: string | null;

  @IsOptional()
  @IsBoolean()
  diverged?: boolean;

  @Amount({ max: 86_400 })
  intervalSeconds!: number;

  @IsOptional()
  @Amount({ max: 86_400 })
  ageSeconds?: number;

  @ArrayUnique((each: ModuleReportDto | null) => each?.module, { message: 'must have one entry per module' })
  @NestedList(() => ModuleReportDto, modulesMax)
  modules!: ModuleReportDto[];

  @ArrayUnique(releaseOf, { message: 'must have one entry per module, release and role' })
  @NestedList(() => TrafficSampleDto, modulesMax)
  traffic!: TrafficSampleDto[];

  @IsOptional()
  @ArrayUnique(releaseOf, { message: 'must have one entry per module, release and role' })
  @NestedList(() => TrafficSampleDto, modulesMax)
  probes?: TrafficSampleDto[];

  @Nested(() => ProcessDto)
  process!: ProcessDto;

  @IsOptional()
  @Nested(() => MemoryDto)
  memory?: MemoryDto;
}
