import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { UnexpectedAnswerError } from './orchestrator-client.js';

const retrySeconds = 1;
const attemptsMax = 60;

/**
 * Does something that needs the API, again while the API is away (no answer, or 5xx, for up to a minute), and answers whether
 * it was done. A refusal is final: it is logged as an error that begins with `failure`.
 */
export async function patiently(
  action: () => Promise<void>,
  failure: string,
  log: Logger,
  abort: AbortSignal,
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    abort.throwIfAborted();
    try {
      await action();
      return true;
    } catch (error) {
      abort.throwIfAborted();
      const isRefusal = error instanceof UnexpectedAnswerError && error.status < 500;
      const isUnreachable =
        error instanceof UnexpectedAnswerError ||
        error instanceof TypeError ||
        (error as Error).name === 'TimeoutError';
      if (isRefusal || !isUnreachable || attempt === attemptsMax) {
        log.error(`${failure}: ${(error as Error).message}`);
        return false;
      }
      log.debug(`${failure} yet (attempt ${attempt}): ${(error as Error).message}`);
    }
    await delay(retrySeconds * 1000, undefined, { signal: abort });
  }
}
