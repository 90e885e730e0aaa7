import type { RequestHead, ResponseHead } from './messages.js';

// Heads are the hop's most frequent payload: lines of Latin-1 text, `hasBody method|status`, [url,] then each header's name and value. No
// field can hold a line break: HTTP allows none.

const lineBreak = /[\r\n]/;

export function encodeRequestHead({ method, url, headers, hasBody }: RequestHead): string {
  return encode(`${hasBody ? 1 : 0}${method}\n${url}`, headers);
}

export function decodeRequestHead(payload: Buffer): RequestHead {
  const lines = payload.toString('latin1').split('\n');
  const [first = '', url = ''] = lines;
  return { method: first.slice(1), url, headers: pairsFrom(lines, 2), hasBody: first.startsWith('1') };
}

export function encodeResponseHead({ status, headers, hasBody }: ResponseHead): string {
  return encode(`${hasBody ? 1 : 0}${status}`, headers);
}

/** What it says is not checked. */
export function decodeResponseHead(payload: Buffer, start: number, end: number): ResponseHead {
  const lines = payload.toString('latin1', start, end).split('\n');
  const first = lines[0] ?? '';
  return { status: Number(first.slice(1)), headers: pairsFrom(lines, 1), hasBody: first.startsWith('1') };
}

function encode(start: string, headers: readonly [string, string][]): string {
  let text = start;
  for (const [name, value] of headers) text += `\n${name}\n${lineBreak.test(value) ? withoutBreaks(value) : value}`;
  return text;
}

function withoutBreaks(value: string): string {
  return value.replace(/[\r\n]/g, ' ');
}

function pairsFrom(lines: string[], start: number): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = start; at < lines.length; at += 2) pairs.push([lines[at] ?? '', lines[at + 1] ?? '']);
  return pairs;
}
