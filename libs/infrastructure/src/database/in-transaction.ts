import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { errorCode } from './postgres-error.js';

const attemptsMax = 5;
const serializationFailure = '40001';
const deadlockDetected = '40P01';

/** Thrown inside a transaction: nothing is written, and `outcome` is the answer. */
export class Abandoned<T> extends Error {
  constructor(readonly outcome: T) {
    super('The transaction was abandoned');
  }
}

/**
 * Runs `work` in a READ COMMITTED transaction, again when Postgres ended it to resolve a deadlock. `work` may throw `Abandoned`.
 *
 * Everyone who writes takes locks in this order: idempotency_key, deployment, environment, environment_release, system, release,
 * deployment_stage, node (by id), and what hangs on a node.
 */
export async function inTransaction<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await dataSource.transaction('READ COMMITTED', work);
    } catch (error) {
      if (error instanceof Abandoned) return error.outcome as T;
      const code = errorCode(error);
      if ((code !== serializationFailure && code !== deadlockDetected) || attempt >= attemptsMax) throw error;
      await delay(Math.random() * 20 * attempt);
    }
  }
}
