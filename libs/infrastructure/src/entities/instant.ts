import type { ValueTransformer } from 'typeorm';

/** A timestamptz column as the domain's Instant: milliseconds since 1970. */
export const instant: ValueTransformer = {
  from: (value: Date | null) => value?.getTime() ?? null,
  to: (value: number | null) => (typeof value === 'number' ? new Date(value) : value),
};
