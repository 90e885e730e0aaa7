export interface PageRequest {
  /** 1-200. */
  limit: number;
  /** `nextCursor` of the page before; opaque. An unreadable one throws `CursorError`. */
  cursor: string | null;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export class CursorError extends Error {
  override name = 'CursorError';
}
