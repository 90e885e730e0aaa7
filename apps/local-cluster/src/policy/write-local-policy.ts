import { environments } from '@hotswap/agent-protocol';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { patiently } from '../patiently.js';
import { type OrchestratorClient, UnexpectedAnswerError } from '../orchestrator-client.js';

type Json = { [key: string]: unknown };

/** The times of a local cluster, shorter than anybody would want for real users. What is not named stays as the API gives it. */
const localPolicy = JSON.parse(readFileSync(new URL('local-policy.json', import.meta.url), 'utf8')) as Json;

/** Writes the local policy wherever nobody has changed the policy yet: an environment's first one has the ETag "1". */
export async function writeLocalPolicy(client: OrchestratorClient, log: Logger, abort: AbortSignal): Promise<void> {
  for (const environment of environments) {
    await patiently(
      async () => {
        const { etag, policy } = await client.policy(environment);
        if (etag?.replace(/^W\//, '') !== '"1"') return;
        try {
          await client.replacePolicy(environment, withChanges(policy, localPolicy), etag);
        } catch (error) {
          // Somebody else was quicker: theirs counts.
          if (!(error instanceof UnexpectedAnswerError) || error.status !== 412) throw error;
        }
        log.debug(`wrote the local policy of ${environment}`);
      },
      `The local policy of ${environment} was not written`,
      log,
      abort,
    );
  }
}

/** `policy` with the changes laid over it, object by object; lists are replaced whole. */
export function withChanges(policy: Json, changes: Json): Json {
  const result = { ...policy };
  for (const [key, change] of Object.entries(changes)) {
    const before = result[key];
    result[key] = isObject(before) && isObject(change) ? withChanges(before, change) : change;
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
