import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { problemTypes, type ProblemCode } from './problem-types.js';

@ApiSchema({ name: 'FieldError', description: 'One thing that is wrong with the request.' })
export class FieldErrorDto {
  @ApiProperty({
    description: 'JSON pointer into the body, `?name` of a query parameter, or the name of a header.',
    example: '/moduleName',
  })
  pointer!: string;

  @ApiProperty({ example: 'must be 1 to 100 of a-z, 0-9 and -' })
  message!: string;
}

@ApiSchema({ name: 'Problem', description: 'What went wrong, as RFC 9457 problem details. `code` is stable.' })
export class ProblemDetailsDto {
  @ApiProperty({ format: 'uri', example: 'urn:hotswap:problem:deployment-not-found' })
  type!: string;

  @ApiProperty({ example: 'No such deployment' })
  title!: string;

  @ApiProperty({ type: 'integer', minimum: 400, maximum: 599, example: 404 })
  status!: number;

  @ApiProperty({ description: 'What happened, for people.', example: 'There is no deployment 0193a0b0-…' })
  detail!: string;

  @ApiProperty({ format: 'uri-reference', example: '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000' })
  instance!: string;

  @ApiProperty({ enum: Object.keys(problemTypes), description: 'Stable: programs may rely on it.' })
  code!: ProblemCode;

  @ApiPropertyOptional({ type: [FieldErrorDto], description: 'Of `validation-failed`.' })
  errors?: FieldErrorDto[];

  @ApiPropertyOptional({
    format: 'uri-reference',
    description: 'Of `deployment-in-progress`: the deployment in the way.',
  })
  deployment?: string;
}
