import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { databaseOptions } from '../src/database/database-options.js';
import { openDatabase } from '../src/database/open-database.js';

const template = 'migrated';
/** Any number: who holds it makes the template. */
const templateLock = 1;

/** The databases of one test file on the run's Postgres server (tools/jest-postgres.mjs); each test gets a clone of a migrated one. */
export class TestPostgres {
  private readonly databases: string[] = [];
  private readonly opened: DataSource[] = [];

  private constructor(private readonly server: string) {}

  static async start(): Promise<TestPostgres> {
    const postgres = new TestPostgres(process.env['TEST_DATABASE_URL']!);
    await postgres.connected('postgres', async (client) => {
      await client.query('SELECT pg_advisory_lock($1)', [templateLock]);
      const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [template]);
      if (rowCount !== 0) return;
      const unfinished = `${template}_${randomBytes(6).toString('hex')}`;
      await client.query(`CREATE DATABASE ${unfinished}`);
      await (await openDatabase(postgres.url(unfinished))).destroy();
      await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${template}`);
    });
    return postgres;
  }

  url(database: string): string {
    const url = new URL(this.server);
    url.pathname = database;
    return url.href;
  }

  /** The name of a new, migrated database. */
  async clone(): Promise<string> {
    return this.create(`TEMPLATE ${template}`);
  }

  /** The name of a new, empty database. */
  async empty(): Promise<string> {
    return this.create('');
  }

  /** A pool on a database; closed by `stop`. */
  async open(database: string): Promise<DataSource> {
    const dataSource = await new DataSource(databaseOptions(this.url(database))).initialize();
    this.opened.push(dataSource);
    return dataSource;
  }

  async run(database: string, statement: string): Promise<void> {
    await this.connected(database, (client) => client.query(statement));
  }

  async stop(): Promise<void> {
    await Promise.all(this.opened.filter(({ isInitialized }) => isInitialized).map((each) => each.destroy()));
    await this.connected('postgres', async (client) => {
      for (const database of this.databases) await client.query(`DROP DATABASE ${database} WITH (FORCE)`);
    });
  }

  private async create(how: string): Promise<string> {
    const database = `test_${randomBytes(6).toString('hex')}`;
    await this.run('postgres', `CREATE DATABASE ${database} ${how}`);
    this.databases.push(database);
    return database;
  }

  private async connected(database: string, use: (client: pg.Client) => Promise<unknown>): Promise<void> {
    const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 5_000 });
    await client.connect();
    try {
      await use(client);
    } finally {
      await client.end();
    }
  }
}
