import {
  AnalysisStore,
  ClusterStore,
  ControlPlaneClock,
  DatabaseHealth,
  DeploymentStore,
  EvidenceStore,
  MetricStore,
  ModuleCatalog,
  NodeRegistry,
  PlanStore,
  RolloutStore,
  TrafficPacker,
  WakeUps,
} from '@hotswap/orchestrator';
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PostgresClusterStore } from './clusters/postgres-cluster-store.js';
import { databaseOptions } from './database/database-options.js';
import { openDatabase } from './database/open-database.js';
import { PostgresDatabaseHealth } from './database/postgres-database-health.js';
import { PostgresDeploymentStore } from './deployments/postgres-deployment-store.js';
import { PostgresEvidenceStore } from './evidence/postgres-evidence-store.js';
import { PostgresMetricStore } from './metrics/postgres-metric-store.js';
import { PostgresTrafficPacker } from './metrics/postgres-traffic-packer.js';
import { PostgresModuleCatalog } from './modules/postgres-module-catalog.js';
import { PostgresNodeRegistry } from './nodes/postgres-node-registry.js';
import { PostgresPlanStore } from './plans/postgres-plan-store.js';
import { PostgresControlPlaneClock } from './postgres-control-plane-clock.js';
import { databaseUrlToken, PostgresWakeUps } from './postgres-wake-ups.js';
import { PostgresAnalysisStore } from './rollouts/postgres-analysis-store.js';
import { PostgresRolloutStore } from './rollouts/postgres-rollout-store.js';

const ports: Provider[] = [
  { provide: AnalysisStore, useClass: PostgresAnalysisStore },
  { provide: ClusterStore, useClass: PostgresClusterStore },
  { provide: ControlPlaneClock, useClass: PostgresControlPlaneClock },
  { provide: DatabaseHealth, useClass: PostgresDatabaseHealth },
  { provide: DeploymentStore, useClass: PostgresDeploymentStore },
  { provide: EvidenceStore, useClass: PostgresEvidenceStore },
  { provide: MetricStore, useClass: PostgresMetricStore },
  { provide: ModuleCatalog, useClass: PostgresModuleCatalog },
  { provide: NodeRegistry, useClass: PostgresNodeRegistry },
  { provide: PlanStore, useClass: PostgresPlanStore },
  { provide: RolloutStore, useClass: PostgresRolloutStore },
  { provide: TrafficPacker, useClass: PostgresTrafficPacker },
  { provide: WakeUps, useClass: PostgresWakeUps },
];

/**
 * Everything that is kept in Postgres, under the ports' names. Starting waits for a database that is away and migrates it; the pool closes
 * after the HTTP server has answered its last request (`onApplicationShutdown`).
 */
@Module({})
export class InfrastructureModule {
  static forRoot({ databaseUrl }: { databaseUrl: string }): DynamicModule {
    return {
      module: InfrastructureModule,
      global: true,
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => ({ ...databaseOptions(databaseUrl), toRetry: () => false }),
          dataSourceFactory: () => openDatabase(databaseUrl),
        }),
      ],
      providers: [{ provide: databaseUrlToken, useValue: databaseUrl }, ...ports],
      exports: ports,
    };
  }
}
