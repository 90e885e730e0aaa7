import { Problem, type FieldError } from '../problem/problem.js';
import { escapePointer } from '../validation/well-formed.js';

export const configurationLimits = { bytes: 64 * 1024, depth: 16, names: 200, nameCharacters: 100 };

// A module learns its place under these names of `env`, whatever it is configured with.
const reservedNames = new Set(['environment', 'module', 'version', 'node']);

/** The body of a PUT as a configuration; throws a Problem. */
export function checkConfiguration(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null)
    throw Problem.invalid([{ pointer: '', message: 'must be a JSON object' }]);
  const values = body as Record<string, unknown>;
  const faults = [...faultyNames(Object.keys(values)), ...faultyValues(values, '', 1)].slice(0, 20);
  if (faults.length > 0) throw Problem.invalid(faults);
  if (Buffer.byteLength(JSON.stringify(values)) > configurationLimits.bytes)
    throw new Problem('too-large', `A configuration has at most ${configurationLimits.bytes / 1024} KiB as JSON`);
  return values;
}

function faultyNames(names: string[]): FieldError[] {
  const { names: countMax, nameCharacters } = configurationLimits;
  if (names.length > countMax) return [{ pointer: '', message: `must have at most ${countMax} names` }];
  return names.flatMap((name) => {
    const pointer = `/${escapePointer(name)}`;
    if (reservedNames.has(name)) return [{ pointer, message: 'is reserved: the node tells modules this themselves' }];
    const isRight = name.length > 0 && name.length <= nameCharacters;
    return isRight ? [] : [{ pointer, message: `must be a name of 1 to ${nameCharacters} characters` }];
  });
}

/** JSON.parse takes 1e999, which JSON can't write again. */
function faultyValues(value: unknown, pointer: string, depth: number): FieldError[] {
  if (typeof value === 'number' && !Number.isFinite(value)) return [{ pointer, message: 'is too large a number' }];
  if (typeof value !== 'object' || value === null) return [];
  if (depth > configurationLimits.depth)
    return [{ pointer, message: `is nested deeper than ${configurationLimits.depth}` }];
  return Object.entries(value).flatMap(([name, child]) =>
    faultyValues(child, `${pointer}/${escapePointer(name)}`, depth + 1),
  );
}
