import { Ajv2020, type AnySchemaObject, type ErrorObject } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';

/** What is wrong, and where: an RFC 6901 JSON pointer ('' is the whole document). */
export interface Problem {
  pointer: string;
  message: string;
}

/**
 * Compiles the JSON Schema in a file of this folder. The check fills defaults into the value it is given and returns its problems.
 */
export function schemaCheck(file: string): (value: unknown) => Problem[] {
  const schema = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as AnySchemaObject;
  const validate = new Ajv2020({ allErrors: true, useDefaults: true, allowUnionTypes: true }).compile(schema);
  return (value) => (validate(value) ? [] : (validate.errors ?? []).map(problemOf));
}

/** One line for people: `/a/b: must be …; /c: …`. */
export function describeProblems(problems: readonly Problem[]): string {
  return problems.map(({ pointer, message }) => `${pointer || 'the document'}: ${message}`).join('; ');
}

function problemOf(error: ErrorObject): Problem {
  const params = error.params as Record<string, unknown>;
  const member = params['additionalProperty'] ?? params['missingProperty'];
  const pointer = typeof member === 'string' ? `${error.instancePath}/${escapePointer(member)}` : error.instancePath;
  return { pointer, message: messageOf(error, params) };
}

function messageOf(error: ErrorObject, params: Record<string, unknown>): string {
  switch (error.keyword) {
    case 'additionalProperties':
      return 'is not a known field';
    case 'required':
      return 'is required';
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
    case 'const':
      return `must be ${JSON.stringify(params['allowedValue'])}`;
    default:
      return error.message ?? 'is not valid';
  }
}

function escapePointer(member: string): string {
  return member.replaceAll('~', '~0').replaceAll('/', '~1');
}
