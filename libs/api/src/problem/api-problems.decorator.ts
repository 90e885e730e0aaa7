import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { Problem } from './problem.js';
import { problemTypes, type ProblemCode } from './problem-types.js';
import { ProblemDetailsDto } from './problem-details.dto.js';

// What any call may answer.
const always: ProblemCode[] = ['unauthenticated', 'internal-error', 'database-unavailable', 'shutting-down'];

/** Documents the problems of an operation, one response per status, one example per code. */
export function ApiProblems(...codes: ProblemCode[]): MethodDecorator & ClassDecorator {
  const byStatus = Map.groupBy([...codes, ...always], (code) => problemTypes[code].status);
  return applyDecorators(
    ApiExtraModels(ProblemDetailsDto),
    ...[...byStatus].map(([status, codesOfStatus]) =>
      ApiResponse({
        status,
        description: codesOfStatus.map((code) => `\`${code}\`: ${problemTypes[code].title}`).join('. ') + '.',
        content: {
          'application/problem+json': {
            schema: { $ref: getSchemaPath(ProblemDetailsDto) },
            examples: Object.fromEntries(codesOfStatus.map((code) => [code, exampleOf(code)])),
          },
        },
      }),
    ),
  );
}

/** The problems of every write: what the guards and the body's readers refuse. */
export function ApiWriteProblems(...codes: ProblemCode[]): MethodDecorator & ClassDecorator {
  return ApiProblems(
    'validation-failed',
    'malformed-json',
    'foreign-origin',
    'too-large',
    'unsupported-media-type',
    'too-many-requests',
    ...codes,
  );
}

function exampleOf(code: ProblemCode) {
  const { title } = problemTypes[code];
  const errors = code === 'validation-failed' ? [{ pointer: '/moduleName', message: 'is required' }] : undefined;
  const deployment =
    code === 'deployment-in-progress' ? '/api/v1/deployments/0193a0b0-0000-7000-8000-000000000000' : undefined;
  return {
    summary: title,
    value: new Problem(code, `${title}.`, { errors, deployment }).toDocument('/api/v1/deployments'),
  };
}
