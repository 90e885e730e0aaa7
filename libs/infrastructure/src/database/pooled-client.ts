import pg from 'pg';

/**
 * A connection of the pool. The pool listens for errors of idle connections, and the query runner for those of its own;
 * between the two nobody does, and Postgres that shuts down may say so in the very packet that makes the connection
 * ready. The error is told by the next query, so nothing is lost by not acting on it here; unheard it would end the process.
 */
export class PooledClient extends pg.Client {
  constructor(options?: pg.ClientConfig) {
    super(options);
    this.on('error', () => undefined);
  }
}
