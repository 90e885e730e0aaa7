import { environments, type EnvironmentName, type JoinRequest } from '@hotswap/agent-protocol';
import { IsInt, IsOptional, IsString, IsUrl, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';
import { Nested } from '../validation/nested.decorator.js';
import { OneOf } from '../validation/one-of.decorator.js';
import { nodeIdPattern } from '../validation/path-parameters.js';

export class DocumentPositionDto {
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  @IsInt()
  epoch!: number;

  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  @IsInt()
  revision!: number;
}

export class JoinDto implements JoinRequest {
  @Matches(nodeIdPattern, { message: 'must be 1 to 100 of A-Z, a-z, 0-9, ., _ and -' })
  nodeId!: string;

  @OneOf(environments)
  environment!: EnvironmentName;

  @Matches(nodeIdPattern, { message: 'must be 1 to 100 of A-Z, a-z, 0-9, ., _ and -' })
  bootId!: string;

  @Min(1)
  @Max(2 ** 31 - 1)
  @IsInt()
  pid!: number;

  @MinLength(1)
  @MaxLength(255)
  @IsString()
  hostname!: string;

  @MaxLength(500)
  @IsUrl({ protocols: ['http', 'https'], require_protocol: true, require_tld: false })
  address!: string;

  @IsOptional()
  @MaxLength(100)
  @IsString()
  zone!: string | null;

  @MinLength(1)
  @MaxLength(100)
  @IsString()
  kernelVersion!: string;

  @IsOptional()
  @Nested(() => DocumentPositionDto)
  accepted!: DocumentPositionDto | null;
}
