import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { isPrivateAddress, lookupPublic, PrivateAddressError } from './public-address.js';

const answerBytesMax = 1024 * 1024;

export interface HttpQuestion {
  method: 'GET' | 'POST';
  url: URL;
  body: string | null;
  timeoutMilliseconds: number;
  /** `host` or `host:port` that may be private. */
  allowedHosts: readonly string[];
}

/** The body of a 200. Rejects for every other status, redirects among them, for private addresses, for more than 1 MiB, and when time is over. */
export function askHttp({ method, url, body, timeoutMilliseconds, allowedHosts }: HttpQuestion): Promise<string> {
  const isAllowed = allowedHosts.includes(url.host) || allowedHosts.includes(url.hostname);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!isAllowed && isIP(host) !== 0 && isPrivateAddress(host)) return Promise.reject(new PrivateAddressError(host));
  const options: RequestOptions = {
    method,
    agent: false,
    headers: {
      accept: 'application/json',
      ...(body !== null && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    },
    signal: AbortSignal.timeout(timeoutMilliseconds),
    ...(!isAllowed && { lookup: lookupPublic }),
  };
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    const outgoing = request(url, options, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) {
        response.destroy();
        const note = statusCode >= 300 && statusCode < 400 ? '; redirects are not followed' : '';
        return reject(new Error(`was answered ${statusCode}${note}`));
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > answerBytesMax) response.destroy(new Error(`answered more than ${answerBytesMax} bytes`));
      });
      response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.once('error', reject);
    });
    outgoing.once('error', (error) =>
      reject(
        error.name === 'TimeoutError' || error.name === 'AbortError'
          ? new Error(`gave no answer within ${timeoutMilliseconds / 1000} s`)
          : error,
      ),
    );
    outgoing.end(body ?? undefined);
  });
}
