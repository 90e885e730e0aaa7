/** The strong entity tag of a revision. */
export function tagOf(revision: number): string {
  return `"${revision}"`;
}

/** Whether the list of an If-Match or If-None-Match header names this strong entity tag, or is `*`. */
export function matchesTag(header: string | undefined, tag: string): boolean {
  return header?.split(',').some((listed) => listed.trim() === tag || listed.trim() === '*') ?? false;
}
