import { CursorError, type Page, type PageRequest } from '@hotswap/orchestrator';

/** A place in a list as clients see it: opaque base64url of the last item's sort key. */
export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** The sort key in a cursor, whose parts match these patterns; throws CursorError. */
export function decodeCursor(cursor: string, patterns: readonly RegExp[]): string[] {
  const key = parse(cursor);
  if (!Array.isArray(key) || key.length !== patterns.length) throw unreadable(cursor);
  return patterns.map((pattern, index) => {
    const part: unknown = key[index];
    if ((typeof part !== 'string' && typeof part !== 'number') || !pattern.test(String(part))) throw unreadable(cursor);
    return String(part);
  });
}

/** Makes a page of rows that were read with a limit of one more than asked. */
export function toPage<T>(rows: T[], { limit }: PageRequest, keyOf: (row: T) => (string | number)[]): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last ? encodeCursor(keyOf(last)) : null };
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw unreadable(cursor);
  }
}

function unreadable(cursor: string): CursorError {
  return new CursorError(
    `The cursor "${cursor.slice(0, 100)}" is not one that a page ended with: use nextCursor as it was given`,
  );
}
