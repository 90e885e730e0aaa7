import pg from 'pg';

/**
 * A connection of the pool.
 *
 * The pool listens for errors of idle connections, and the query runner for those of its own; between the two nobody does,
 * and Postgres that shuts down may say so in the very packet that makes the connection ready. The error is told by the next
 * query, so nothing is lost by not acting on it here; unheard it would end the process.
 *
 * A query that is not answered in time is given up by pg, yet still runs, and the ROLLBACK after it waits behind it in vain:
 * the pool would give the next user a connection in the middle of a transaction, to be committed with his. It is ended instead, before it
 * is released: the pool opens another for who waits.
 */
export class PooledClient extends pg.Client {
  constructor(options?: pg.ClientConfig) {
    super(options);
    this.on('error', () => undefined);
    const query = this.query.bind(this) as (...statement: unknown[]) => unknown;
    this.query = ((...statement: unknown[]) => {
      const answer = query(...statement);
      if (answer instanceof Promise) answer.catch((error: Error) => this.endAfter(error));
      return answer;
    }) as pg.Client['query'];
  }

  private endAfter(error: Error): void {
    if (error.message === 'Query read timeout') this.end().catch(() => undefined);
  }
}
