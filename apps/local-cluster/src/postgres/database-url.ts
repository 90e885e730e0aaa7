import pg from 'pg';
import { SettingsError } from '../settings.js';

/**
 * Connects once to a database that was given.
 * @throws SettingsError with why it can't, without the password
 */
export async function requireDatabase(databaseUrl: string): Promise<void> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 10_000,
    query_timeout: 10_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const { host, pathname } = new URL(databaseUrl);
    throw new SettingsError([
      {
        name: 'DATABASE_URL',
        message: `no connection to ${host}${pathname}: ${message || code}; mend it, or leave it out for the embedded Postgres`,
      },
    ]);
  } finally {
    await client.end().catch(() => undefined);
  }
}
