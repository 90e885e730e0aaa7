import { headerOf, type HostRequest } from './http.js';

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/**
 * From 0 to 100, evenly: by chance for each request, or by the value of the header that the manifest names, so that who sends the same value
 * gets the same release for as long as the share does not shrink.
 *
 * @param salt keeps the values that go first from being the same ones for every module.
 */
export function shareDraw(request: HostRequest, affinityHeader: string | null, salt: string): number {
  const key = affinityHeader && headerOf(request.headers, affinityHeader);
  return key ? (hash(`${salt}\n${key}`) / 2 ** 32) * 100 : Math.random() * 100;
}

/** FNV-1a, with a final mixing for its high bits. */
function hash(text: string): number {
  let value = fnvOffset;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), fnvPrime);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
