import { Injectable, ValidationPipe, type ArgumentMetadata } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { Problem, type FieldError } from '../problem/problem.js';
import { escapePointer, malformedTexts } from './well-formed.js';

const errorCountMax = 50;

/** Turns bodies and queries into their DTO classes, or refuses them with a pointer to each fault. Unknown fields are faults. */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  constructor() {
    const exceptionFactory = (errors: ValidationError[]) => new Faults(fieldErrors(errors).slice(0, errorCountMax));
    super({ whitelist: true, forbidNonWhitelisted: true, transform: true, stopAtFirstError: true, exceptionFactory });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type !== 'body' && metadata.type !== 'query') return value;
    const isQuery = metadata.type === 'query';
    if (!isQuery && value !== undefined && value !== null && (typeof value !== 'object' || Array.isArray(value)))
      throw Problem.invalid([{ pointer: '', message: 'must be a JSON object' }]);
    try {
      const faults = malformedTexts(value);
      if (faults.length > 0) throw new Faults(faults);
      return (await super.transform(value, metadata)) as unknown;
    } catch (error) {
      if (!(error instanceof Faults)) throw error;
      throw Problem.invalid(isQuery ? error.fields.map(ofQuery) : error.fields);
    }
  }
}

class Faults extends Error {
  constructor(readonly fields: FieldError[]) {
    super();
  }
}

/** class-validator's tree of errors as a flat list of JSON pointers. */
export function fieldErrors(errors: ValidationError[], parent = ''): FieldError[] {
  return errors.flatMap(({ property, constraints = {}, children = [] }) => {
    const pointer = `${parent}/${escapePointer(property.toWellFormed())}`;
    const own = Object.entries(constraints).map(([rule, message]) => ({
      pointer,
      message: messageOf(rule, message, property),
    }));
    return [...own, ...fieldErrors(children, pointer)];
  });
}

// The pointer names the property already.
function messageOf(rule: string, message: string, property: string): string {
  if (rule === 'whitelistValidation') return 'is not known';
  if (rule === 'isDefined') return 'is required';
  return message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;
}

function ofQuery({ pointer, message }: FieldError): FieldError {
  return { pointer: `?${pointer.split('/')[1] ?? ''}`, message };
}
