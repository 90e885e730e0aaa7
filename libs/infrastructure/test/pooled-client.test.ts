import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { databaseOptions } from '../src/database/database-options.js';
import { TestPostgres } from './postgres.js';

let server: Server | null = null;
afterEach(() => {
  server?.close();
});

const message = (type: string, ...parts: (string | Buffer)[]) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  const head = Buffer.from(`${type}0000`);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const authenticated = message('R', Buffer.alloc(4));
const readyForQuery = message('Z', 'I');
const shutDown = message('E', 'SFATAL\0', 'C57P01\0', 'Mterminating connection due to administrator command\0', '\0');

/** A Postgres that shuts down in the very moment in which a connection becomes ready: a real one can't be timed to it. */
it('survives a Postgres that becomes ready and shuts down in one packet', async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.concat([authenticated, readyForQuery, shutDown])));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dataSource = new DataSource(databaseOptions(`postgres://hotswap@127.0.0.1:${port}/hotswap`));
  await expect(dataSource.initialize()).rejects.toThrow('not queryable');
});

describe('a query that is given up', () => {
  let postgres: TestPostgres;
  let dataSource: DataSource;
  beforeEach(async () => {
    postgres = await TestPostgres.start();
    const options = databaseOptions(postgres.url(await postgres.empty()));
    // Long enough that on a busy machine none but the one that sleeps is given up, and shorter than who waits for its connection waits.
    const extra = { ...(options.extra as object), query_timeout: 4_000 };
    const limits = { poolSize: 1, connectTimeoutMS: 30_000, extra };
    dataSource = await new DataSource({ ...options, ...limits } as DataSourceOptions).initialize();
    await dataSource.query('CREATE TABLE written (by text)');
  });
  afterEach(async () => {
    await dataSource.destroy();
    await postgres.stop();
  });

  it('leaves its connection to nobody in the middle of its transaction', async () => {
    const givenUp = dataSource.transaction(async (manager) => {
      await manager.query(`INSERT INTO written VALUES ('who gave up')`);
      await manager.query('SELECT pg_sleep(9)');
    });
    await expect(givenUp).rejects.toThrow('Query read timeout');
    await dataSource.transaction((manager) => manager.query(`INSERT INTO written VALUES ('who came next')`));
    expect(await dataSource.query('SELECT * FROM written')).toEqual([{ by: 'who came next' }]);
  });

  it.each([
    ['a transaction', () => dataSource.transaction((manager) => manager.query('SELECT pg_sleep(9)'))],
    ['no transaction', () => dataSource.query('SELECT pg_sleep(9)')],
  ])('in %s gives who waits for its connection another one', async (_where, giveUp) => {
    const [givenUp, next] = await Promise.allSettled([
      giveUp(),
      dataSource.query(`INSERT INTO written VALUES ('who waited') RETURNING by`),
    ]);
    expect(givenUp).toMatchObject({ status: 'rejected', reason: { message: 'Query read timeout' } });
    expect(next).toEqual({ status: 'fulfilled', value: [{ by: 'who waited' }] });
  });
});
