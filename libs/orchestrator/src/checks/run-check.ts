import { setTimeout as delay } from 'node:timers/promises';
import type { ExternalCheck } from '@hotswap/domain';
import { askHttp } from './ask-http.js';
import { PrivateAddressError } from './public-address.js';

const timeoutMilliseconds = 4_000;
const attemptsMax = 3;
const retryMilliseconds = 500;
const messageCharactersMax = 500;

export interface CheckAnswer {
  status: 'Passed' | 'Refused' | 'Unknown';
  message: string;
  data: Record<string, unknown>;
}

/** Asks outside, up to three times; never throws. Whatever is not plainly good or bad is `Unknown`. */
export async function runCheck(
  check: ExternalCheck,
  about: object,
  allowedHosts: readonly string[],
): Promise<CheckAnswer> {
  let message = '';
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    try {
      return await ask(check, about, allowedHosts);
    } catch (error) {
      message = `${check.name}: ${new URL(check.url).host} ${(error as Error).message}`.slice(0, messageCharactersMax);
      if (error instanceof PrivateAddressError) break;
      if (attempt < attemptsMax) await delay(retryMilliseconds * attempt);
    }
  }
  return { status: 'Unknown', message, data: { name: check.name } };
}

async function ask(check: ExternalCheck, about: object, allowedHosts: readonly string[]): Promise<CheckAnswer> {
  if (check.kind === 'webhook') {
    const body = JSON.stringify(about);
    const answer = await askHttp({ method: 'POST', url: new URL(check.url), body, timeoutMilliseconds, allowedHosts });
    return readWebhook(check.name, JSON.parse(answer));
  }
  const url = new URL(`${check.url.replace(/\/$/, '')}/api/v1/query`);
  url.searchParams.set('query', check.query);
  const answer = await askHttp({ method: 'GET', url, body: null, timeoutMilliseconds, allowedHosts });
  return readPrometheus(check, JSON.parse(answer));
}

function readWebhook(name: string, answer: unknown): CheckAnswer {
  const { verdict, message } = (answer ?? {}) as { verdict?: unknown; message?: unknown };
  const said = typeof message === 'string' ? `: ${message.slice(0, messageCharactersMax)}` : '';
  if (verdict === 'good') return { status: 'Passed', message: `${name} says good${said}`, data: { name } };
  if (verdict === 'bad') return { status: 'Refused', message: `${name} says bad${said}`, data: { name } };
  return { status: 'Unknown', message: `${name} says neither good nor bad${said}`, data: { name } };
}

interface PrometheusAnswer {
  status?: string;
  error?: string;
  data?: { resultType?: string; result?: unknown };
}

/** An instant vector or a scalar; the value farthest beyond a limit counts. No series, or no number in one, is no data. */
function readPrometheus(check: Extract<ExternalCheck, { kind: 'prometheus' }>, answer: unknown): CheckAnswer {
  const { status, error, data } = (answer ?? {}) as PrometheusAnswer;
  const { name, min, max } = check;
  if (status !== 'success') throw new Error(`answered an error${error ? `: ${error}` : ''}`);
  const values = valuesOf(data);
  if (values.length === 0 || values.some(Number.isNaN))
    return { status: 'Unknown', message: `${name}: no data`, data: { name } };
  const worst = values.reduce((a, b) => (excess(b, min, max) > excess(a, min, max) ? b : a));
  const limits = [min === null ? '' : `at least ${min}`, max === null ? '' : `at most ${max}`]
    .filter(Boolean)
    .join(' and ');
  const isGood = excess(worst, min, max) <= 0;
  return {
    status: isGood ? 'Passed' : 'Refused',
    message: `${name} is ${Number(worst.toPrecision(6))}, wanted ${limits}`,
    data: { name, value: worst, min, max },
  };
}

function valuesOf(data: PrometheusAnswer['data']): number[] {
  const { resultType, result } = data ?? {};
  if (!Array.isArray(result)) return [];
  const samples: unknown[] =
    resultType === 'scalar' ? [result] : result.map((series: { value?: unknown }) => series.value);
  return samples.map((sample) => (Array.isArray(sample) ? Number(sample[1]) : Number.NaN));
}

/** How far beyond a limit; at most 0 within both. */
function excess(value: number, min: number | null, max: number | null): number {
  return Math.max(min === null ? -Infinity : min - value, max === null ? -Infinity : value - max);
}
