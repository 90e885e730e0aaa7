import { QueryFailedError } from 'typeorm';

export const uniqueViolation = '23505';

/** The SQLSTATE or Node error code of what a query or a connection threw; null when it has none. */
export function errorCode(error: unknown): string | null {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

/** True when this index or constraint refused a row. */
export function isConflictOn(constraint: string, error: unknown): boolean {
  if (errorCode(error) !== uniqueViolation || !(error instanceof QueryFailedError)) return false;
  return (error.driverError as { constraint?: string }).constraint === constraint;
}
