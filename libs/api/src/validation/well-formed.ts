import type { FieldError } from '../problem/problem.js';

const depthMax = 32;
const errorCountMax = 20;
// Names that programs confuse with an object's prototype; no field of ours is called so.
const refusedNames = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * What in a value could never be stored or would confuse who reads it: NUL characters and lone surrogates (Postgres stores neither),
 * prototype keys, nesting deeper than 32. `root` is the pointer of the value itself.
 */
export function malformedTexts(value: unknown, root = ''): FieldError[] {
  const errors: FieldError[] = [];
  visit(value, root, 0, errors);
  return errors;
}

function visit(value: unknown, pointer: string, depth: number, errors: FieldError[]): void {
  if (errors.length >= errorCountMax) return;
  if (typeof value === 'string') {
    const message = faultOf(value);
    if (message) errors.push({ pointer, message });
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth === depthMax) {
    errors.push({ pointer, message: `is nested deeper than ${depthMax}` });
    return;
  }
  for (const [name, child] of Object.entries(value)) {
    const childPointer = `${pointer}/${escapePointer(name.toWellFormed())}`;
    const fault = refusedNames.has(name) ? 'is not allowed as a name' : faultOf(name);
    if (fault) errors.push({ pointer: childPointer, message: fault });
    else visit(child, childPointer, depth + 1, errors);
  }
}

function faultOf(text: string): string | null {
  if (text.includes('\0')) return 'must not contain NUL characters';
  return text.isWellFormed() ? null : 'must not contain lone surrogates';
}

/** One step of a JSON pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
