import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsIn } from 'class-validator';

/** A value of an enumeration: read case-insensitively, kept as `values` writes it. */
export function OneOf(values: readonly string[]): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => canonical(values, value) ?? value),
    IsIn(values, { message: `must be one of ${values.join(', ')}` }),
  );
}

/** The member of `values` that `value` spells in any case; null: none. */
export function canonical<T extends string>(values: readonly T[], value: unknown): T | null {
  if (typeof value !== 'string') return null;
  const lower = value.toLowerCase();
  return values.find((known) => known.toLowerCase() === lower) ?? null;
}
