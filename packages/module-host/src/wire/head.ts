// Heads are the hop's most frequent payload: lines of Latin-1 text, for a request its method and URL, for a response its status, then each
// header's name and value. No field can hold a line break: HTTP allows none.

/** @param headers as `encodeHeaders` has it. */
export function encodeRequestHead(method: string, url: string, headers: string): string {
  return `${method}\n${url}${headers}`;
}

/** @param headers names and values in turn; whoever made them has seen to it that there is no line break in them. */
export function encodeHeaders(headers: readonly string[]): string {
  let text = '';
  for (const field of headers) text += `\n${field}`;
  return text;
}

export function encodeResponseHead(status: number, headers: Iterable<readonly [string, string]>): string {
  let text = String(status);
  for (const [name, value] of headers) text += `\n${name}\n${value}`;
  return text;
}

/** A request's head as an instance gets it; its headers are looked at only when a handler does. */
export class RequestHead {
  readonly method: string;
  readonly url: string;
  readonly #headers: string;

  constructor(head: string) {
    const methodEnd = head.indexOf('\n');
    const urlEnd = head.indexOf('\n', methodEnd + 1);
    this.method = head.slice(0, methodEnd);
    this.url = head.slice(methodEnd + 1, urlEnd < 0 ? undefined : urlEnd);
    this.#headers = urlEnd < 0 ? '' : head.slice(urlEnd + 1);
  }

  get headers(): [string, string][] {
    if (this.#headers === '') return [];
    const lines = this.#headers.split('\n');
    return Array.from({ length: lines.length / 2 }, (_, at) => [lines[2 * at] ?? '', lines[2 * at + 1] ?? '']);
  }
}
