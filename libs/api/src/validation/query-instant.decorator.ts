import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsDate } from 'class-validator';

const dateTime = /^(\d{4})-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/i;

/** A point in time in a query (RFC 3339, years 1970 to 9999), read as a Date. */
export function QueryInstant(): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => dateOf(value) ?? value),
    IsDate({ message: 'must be a date-time from 1970 to 9999 with a zone, such as 2026-01-31T12:00:00Z' }),
  );
}

function dateOf(value: unknown): Date | null {
  const year = typeof value === 'string' ? dateTime.exec(value)?.[1] : undefined;
  if (year === undefined || Number(year) < 1970) return null;
  const date = new Date(value as string);
  return Number.isNaN(date.getTime()) ? null : date;
}
