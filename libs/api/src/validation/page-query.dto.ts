import { ApiPropertyOptional } from '@nestjs/swagger';
import type { PageRequest } from '@hotswap/orchestrator';
import { IsOptional, IsString, MaxLength, MinLength } from 'class-validator';
import { QueryInteger } from './query-integer.decorator.js';

/** `limit` and `cursor` of every list. */
export class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 200, default: 50, description: 'Items per page.' })
  @IsOptional()
  @QueryInteger(1, 200)
  limit: number = 50;

  @ApiPropertyOptional({ description: '`nextCursor` of the page before.', minLength: 1, maxLength: 500 })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  @MinLength(1, { message: 'must not be empty' })
  @MaxLength(500, { message: 'must be at most 500 characters' })
  cursor?: string;
}

export function pageOf({ limit, cursor }: PageQuery): PageRequest {
  return { limit, cursor: cursor ?? null };
}
