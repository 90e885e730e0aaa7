import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClusterStore,
  ControlPlaneClock,
  DatabaseHealth,
  DeploymentStore,
  EvidenceStore,
  MetricStore,
  ModuleCatalog,
  NodeRegistry,
  RolloutStore,
  WakeUps,
} from '@hotswap/orchestrator';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { freePort } from '../../../tools/free-port.js';
import { openDatabase } from '../src/database/open-database.js';
import { InfrastructureModule } from '../src/index.js';
import { migrations } from '../src/migrations/index.js';
import { TestPostgres } from './postgres.js';
import { newDeployment, World } from './world.js';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

function start(databaseUrl: string): Promise<INestApplicationContext> {
  @Module({ imports: [InfrastructureModule.forRoot({ databaseUrl })] })
  class App {}
  return NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not reached: ${condition}`);
    await delay(20);
  }
}

/** Waits, since a look that takes longer than its time-out finds a database away that is there. */
async function stateWhenReached(health: DatabaseHealth) {
  let state = await health.check();
  await until(async () => state.reachable || (state = await health.check()).reachable);
  return state;
}

/** A way to Postgres that can be cut. */
class Cable {
  private readonly sockets = new Set<Socket>();
  private constructor(private readonly server: Server) {}

  static async lay(target: number, port: number): Promise<Cable> {
    const server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        cable.sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const cable: Cable = new Cable(server);
    return cable;
  }

  get wasUsed(): boolean {
    return this.sockets.size > 0;
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

describe('the module', () => {
  it('provides every port on a new database, and closes', async () => {
    const app = await start(postgres.url(await postgres.empty()));
    for (const port of [
      ClusterStore,
      ControlPlaneClock,
      DeploymentStore,
      EvidenceStore,
      MetricStore,
      ModuleCatalog,
      NodeRegistry,
      RolloutStore,
      WakeUps,
    ]) {
      expect(app.get<object>(port).constructor.name).toBe(`Postgres${port.name}`);
    }
    expect(await stateWhenReached(app.get(DatabaseHealth))).toEqual({ reachable: true, migrationsPending: false });
    const dataSource = app.get(DataSource);
    await app.close();
    expect(dataSource.isInitialized).toBe(false);
  });

  it('migrates once when several replicas start at once', async () => {
    const url = postgres.url(await postgres.empty());
    const opened = await Promise.all(Array.from({ length: 4 }, () => openDatabase(url)));
    expect(await opened[0]!.query('SELECT count(*)::integer AS count FROM hotswap.migration')).toEqual([
      { count: migrations.length },
    ]);
    expect(await opened[0]!.query('SELECT count(*)::integer AS count FROM hotswap.environment')).toEqual([
      { count: 4 },
    ]);
    await Promise.all(opened.map((each) => each.destroy()));
  });

  it('can take its migrations back', async () => {
    const dataSource = await openDatabase(postgres.url(await postgres.empty()));
    for (let left = dataSource.migrations.length; left > 0; left--) await dataSource.undoLastMigration();
    const left = await dataSource.query<{ table_name: string }[]>(
      `SELECT table_name FROM information_schema.tables WHERE table_schema = 'hotswap'`,
    );
    expect(left.map(({ table_name }) => table_name)).toEqual(['migration']);
    await dataSource.destroy();
  });

  it('says that a migration is pending', async () => {
    const app = await start(postgres.url(await postgres.clone()));
    await app.get(DataSource).query(`DELETE FROM hotswap.migration WHERE name LIKE 'CreateNodes%'`);
    expect(await stateWhenReached(app.get(DatabaseHealth))).toMatchObject({ migrationsPending: true });
    await app.close();
  });

  it('does not wait for what waiting would not mend', async () => {
    await expect(start(postgres.url('no_such_database'))).rejects.toThrow(/DATABASE_URL.*no_such_database/);
  });

  it('waits for a database that is away, lives through an outage, and hears wake-ups again', async () => {
    const database = await postgres.clone();
    const target = Number(new URL(postgres.url(database)).port);
    const port = await freePort();
    const leadsNowhere = await Cable.lay(await freePort(), port);
    const url = new URL(postgres.url(database));
    url.port = String(port);
    const starting = start(url.href);
    await until(() => leadsNowhere.wasUsed);
    await leadsNowhere.cut();
    let cable = await Cable.lay(target, port);
    const app = await starting;
    const health = app.get(DatabaseHealth);
    await stateWhenReached(health);
    let wakes = 0;
    const stop = app.get(WakeUps).subscribe(() => wakes++);

    await cable.cut();
    expect(await health.check()).toMatchObject({ reachable: false });
    cable = await Cable.lay(target, port);
    await stateWhenReached(health);
    await until(() => wakes > 0);

    const world = new World(await postgres.open(database));
    await world.publish('1.0.0');
    await until(async () => {
      const before = wakes;
      await world.rows('NOTIFY hotswap_wake');
      await delay(20);
      return wakes > before;
    });
    stop();
    await app.get(DeploymentStore).create(newDeployment('1.0.0', 'QA'));
    const after = wakes;
    let others = 0;
    app.get(WakeUps).subscribe(() => others++);
    await world.rows('NOTIFY hotswap_wake');
    await until(() => others > 0);
    expect(wakes).toBe(after);
    await app.close();
    await cable.cut();
  });
});
