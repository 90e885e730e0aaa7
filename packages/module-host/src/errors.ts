import type { FailureKind } from '@hotswap/agent-protocol';

/** A release could not be made ready; `kind` says in which phase. */
export class LoadError extends Error {
  override name = 'LoadError';
  constructor(
    readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
  }
}

export type HostErrorCode =
  | 'no-such-route'
  | 'method-not-allowed'
  | 'module-not-ready'
  | 'overloaded'
  | 'module-failed'
  | 'deadline-exceeded'
  | 'body-too-large'
  | 'request-timeout';

/** A request got no answer from its module. */
export class HostError extends Error {
  override name = 'HostError';
  constructor(
    readonly code: HostErrorCode,
    message: string,
    /** `name@version` of the release the request was given to; null: to none. */
    readonly release: string | null,
  ) {
    super(message);
  }
}

/** What to tell of a thrown value: of bounded length, and text that can be kept anywhere. Half a character, or NUL, is more than a database takes. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  const cut = text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
  return cut.replaceAll('\0', '\ufffd').toWellFormed();
}
