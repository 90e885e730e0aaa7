import { Logger } from '@nestjs/common';
import type { DataSourceOptions } from 'typeorm';
import { deploymentEventEntity } from '../entities/deployment-event.js';
import { deploymentStageEntity } from '../entities/deployment-stage.js';
import { deploymentEntity } from '../entities/deployment.js';
import { evidenceEntity } from '../entities/evidence.js';
import { releaseEntity } from '../entities/release.js';
import { migrations } from '../migrations/index.js';
import { PooledClient } from './pooled-client.js';

const connectionsMax = 10;
const connectTimeoutMilliseconds = 5_000;
const statementTimeoutMilliseconds = 10_000;

const pool = { Client: PooledClient, keepAlive: true, keepAliveInitialDelayMillis: 10_000 };

const logger = new Logger('Database');

export const applicationName = 'hotswap-control-plane';

/** A pool of limited size whose connections wait for nothing without end. */
export function databaseOptions(databaseUrl: string): DataSourceOptions {
  return {
    ...connectionOptions(databaseUrl),
    poolSize: connectionsMax,
    applicationName,
    extra: {
      ...pool,
      statement_timeout: statementTimeoutMilliseconds,
      lock_timeout: statementTimeoutMilliseconds / 2,
      idle_in_transaction_session_timeout: statementTimeoutMilliseconds,
      query_timeout: statementTimeoutMilliseconds * 2,
      idleTimeoutMillis: 30_000,
    },
  };
}

/** For migrations, which take as long as they take: one connection that holds the lock, and one that works. */
export function migrationOptions(databaseUrl: string): DataSourceOptions {
  return {
    ...connectionOptions(databaseUrl),
    poolSize: 2,
    applicationName: `${applicationName} migrations`,
    extra: pool,
  };
}

function connectionOptions(databaseUrl: string) {
  return {
    type: 'postgres' as const,
    url: databaseUrl,
    schema: 'hotswap',
    entities: [releaseEntity, deploymentEntity, deploymentStageEntity, deploymentEventEntity, evidenceEntity],
    migrations,
    migrationsTableName: 'migration',
    installExtensions: false,
    connectTimeoutMS: connectTimeoutMilliseconds,
    poolErrorHandler: (error: Error) => logger.warn(`An idle connection to Postgres ended: ${error.message}`),
  };
}
