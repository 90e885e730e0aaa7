import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import {
  runningRolloutRules,
  type ApprovalPolicy,
  type Freeze,
  type FreezeWindow,
  type RunningRolloutRule,
} from '@hotswap/domain';
import { ArrayMinSize, IsBoolean, Matches } from 'class-validator';
import { NestedList } from '../validation/nested.decorator.js';
import { OneOf } from '../validation/one-of.decorator.js';
import { FreezeTime, KnownTimeZone, WholeNumber } from './freeze-rules.decorator.js';

const windowCountMax = 50;
const approverCountMax = 10;

@ApiSchema({
  name: 'FreezeWindow',
  description:
    'From one time to another on the clocks of the time zone: every week ("Friday 16:00" to "Monday 08:00"), or once ("2026-12-20T16:00" to "2027-01-07T08:00").',
})
export class FreezeWindowDto implements FreezeWindow {
  @ApiProperty({ example: 'Friday 16:00', description: 'Where the clocks show it twice, the first of the two.' })
  @FreezeTime()
  from!: string;

  @ApiProperty({ example: 'Monday 08:00', description: 'Where the clocks show it twice, the second of the two.' })
  @FreezeTime()
  to!: string;
}

@ApiSchema({
  name: 'Freeze',
  description: 'Times in which the environment takes nothing new. A rollback is never held.',
})
export class FreezeDto implements Freeze {
  @ApiProperty({ pattern: '^[a-z0-9-]{1,50}$', example: 'weekend' })
  @Matches(/^[a-z0-9-]{1,50}$/, { message: 'must be 1 to 50 of a-z, 0-9 and -' })
  name!: string;

  @ApiProperty({ maxLength: 100, example: 'Europe/Berlin', description: 'A name of the IANA time zone database.' })
  @KnownTimeZone()
  timeZone!: string;

  @ApiProperty({ type: [FreezeWindowDto], minItems: 1, maxItems: windowCountMax })
  @ArrayMinSize(1, { message: 'must have a window' })
  @NestedList(() => FreezeWindowDto, windowCountMax)
  windows!: FreezeWindowDto[];

  @ApiProperty({
    enum: runningRolloutRules,
    description:
      'What a rollout that is under way does: end the step in hand and begin no other, stand still at once, or go back.',
  })
  @OneOf(runningRolloutRules)
  runningRollouts!: RunningRolloutRule;
}

@ApiSchema({ name: 'ApprovalPolicy', description: 'Who has to say yes before a deployment enters the environment.' })
export class ApprovalPolicyDto implements ApprovalPolicy {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: approverCountMax,
    default: 1,
    description: 'So many people, none of them the requester. One that says no keeps it out.',
  })
  @WholeNumber({ min: 1, max: approverCountMax })
  required: number = 1;

  @ApiPropertyOptional({
    default: false,
    description: 'Also where the deployment does not ask for it, in any environment.',
  })
  @IsBoolean({ message: 'must be true or false' })
  always: boolean = false;
}
