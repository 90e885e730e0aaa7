import { WakeUps } from '@hotswap/orchestrator';
import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import pg from 'pg';
import { applicationName } from './database/database-options.js';
import { wakeChannel } from './wake.js';

export const databaseUrlToken = Symbol('databaseUrl');

const retryMillisecondsMin = 250;
const retryMillisecondsMax = 10_000;
const connectTimeoutMilliseconds = 5_000;

/** One connection of its own that listens; it comes back by itself, and then wakes everyone, for what it may have missed. */
@Injectable()
export class PostgresWakeUps extends WakeUps implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('WakeUps');
  private readonly subscribers = new Set<() => void>();
  private client: pg.Client | null = null;
  private retryTimer: NodeJS.Timeout | null = null;
  private retryMilliseconds = retryMillisecondsMin;
  private isClosed = false;

  constructor(@Inject(databaseUrlToken) private readonly databaseUrl: string) {
    super();
  }

  subscribe(wake: () => void): () => void {
    const subscriber = () => wake();
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  async onModuleInit(): Promise<void> {
    await this.listen();
  }

  async onApplicationShutdown(): Promise<void> {
    this.isClosed = true;
    if (this.retryTimer) clearTimeout(this.retryTimer);
    await this.client?.end().catch(() => undefined);
  }

  private async listen(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.databaseUrl,
      application_name: `${applicationName} wake-ups`,
      connectionTimeoutMillis: connectTimeoutMilliseconds,
      query_timeout: connectTimeoutMilliseconds,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    this.client = client;
    client.on('notification', () => this.wakeAll());
    client.on('error', (error) => this.lose(client, error));
    client.on('end', () => this.lose(client, new Error('the connection ended')));
    try {
      await client.connect();
      await client.query(`LISTEN ${wakeChannel}`);
      this.retryMilliseconds = retryMillisecondsMin;
      this.wakeAll();
    } catch (error) {
      this.lose(client, error as Error);
    }
  }

  /** Only the first sign that this connection is gone counts. */
  private lose(client: pg.Client, error: Error): void {
    if (this.client !== client) return;
    this.client = null;
    client.end().catch(() => undefined);
    if (this.isClosed) return;
    this.logger.warn(
      `Not listening for wake-ups (${error.message}); again in ${this.retryMilliseconds} ms, the periodic pass goes on`,
    );
    this.retryTimer = setTimeout(() => void this.listen(), this.retryMilliseconds);
    this.retryMilliseconds = Math.min(this.retryMilliseconds * 2, retryMillisecondsMax);
  }

  private wakeAll(): void {
    for (const subscriber of this.subscribers) subscriber();
  }
}
