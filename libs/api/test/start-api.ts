import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { strategyNames } from '@hotswap/domain';
import {
  AnalysisStore,
  ClusterStore,
  DatabaseHealth,
  DeploymentPlanner,
  DeploymentStore,
  DeploymentExplainer,
  DistributedKernelOrchestrator,
  MetricStore,
  ModuleCatalog,
  NodeRegistry,
  StrategyRegistry,
  WakeUps,
} from '@hotswap/orchestrator';
import {
  ApiModule,
  createHttpAdapter,
  KnownRoutes,
  mountDocumentation,
  observeRequests,
  PrometheusMetrics,
  type ApiSettings,
} from '../src/index.js';

const stores = [
  AnalysisStore,
  DistributedKernelOrchestrator,
  DeploymentExplainer,
  DeploymentPlanner,
  DeploymentStore,
  ModuleCatalog,
  ClusterStore,
  NodeRegistry,
  MetricStore,
];

/** Nothing is decided without a database: only their names count. */
const strategies = strategyNames.map((name) => ({
  name,
  decide: () => {
    throw new Error('nothing to decide on');
  },
}));

const refused: Error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

/** The control plane while its database is away: every call of a store fails, as the driver does it. */
@Module({})
class DatabaseAwayModule {
  static forRoot(error: Error, reachable: boolean): DynamicModule {
    const fail = () => Promise.reject(error);
    const away = new Proxy({}, { get: (_target, name) => (isHook(name) ? undefined : fail) });
    return {
      module: DatabaseAwayModule,
      providers: [
        ...stores.map((provide) => ({ provide, useValue: away })),
        { provide: StrategyRegistry, useValue: new StrategyRegistry(strategies) },
        { provide: WakeUps, useValue: { subscribe: () => () => undefined } },
        {
          provide: DatabaseHealth,
          useValue: { check: () => Promise.resolve({ reachable, migrationsPending: false }) },
        },
      ],
      exports: [...stores, StrategyRegistry, WakeUps, DatabaseHealth],
    };
  }
}

// What Nest asks every provider for.
function isHook(name: string | symbol): boolean {
  return typeof name === 'symbol' || name === 'then' || /^(on|before)[A-Z]/.test(name);
}

export interface RunningApi {
  url: string;
  app: NestFastifyApplication;
}

/**
 * The API on a free port of loopback, with nothing behind it: every query fails by `error`, and who looks after that finds the database
 * `reachable` or not.
 */
export async function startApi(
  changes: Partial<ApiSettings> = {},
  { error = refused, reachable = false } = {},
): Promise<RunningApi> {
  const open = { host: '127.0.0.1', apiToken: null, joinToken: null, writesPerMinuteMax: 100_000 };
  const settings = { ...open, ...changes };
  const routes = new KnownRoutes();
  const adapter = createHttpAdapter(settings, routes);
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.forRoot({ settings, routes, imports: [DatabaseAwayModule.forRoot(error, reachable)] }),
    adapter,
    { logger: false, bodyParser: false, abortOnError: false },
  );
  observeRequests(adapter.getInstance(), app.get(PrometheusMetrics));
  mountDocumentation(app);
  await app.listen(0, '127.0.0.1');
  return { url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), app };
}
