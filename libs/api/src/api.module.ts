import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { ThrottlerModule } from '@nestjs/throttler';
import { ApiSettings } from './api-settings.js';
import { ArtifactsController } from './artifacts/artifacts.controller.js';
import { ClusterMetrics } from './clusters/cluster-metrics.js';
import { ClustersController } from './clusters/clusters.controller.js';
import { DetectionController } from './clusters/detection.controller.js';
import { DeploymentEventStream } from './deployments/deployment-event-stream.js';
import { DeploymentAnalysisController } from './deployments/deployment-analysis.controller.js';
import { DeploymentStoryController } from './deployments/deployment-story.controller.js';
import { ApprovalsController } from './deployments/approvals.controller.js';
import { DeploymentControlsController } from './deployments/deployment-controls.controller.js';
import { DeploymentsController } from './deployments/deployments.controller.js';
import { HealthController, Readiness } from './health/health.controller.js';
import { KnownRoutes } from './http/known-routes.js';
import { ModuleConfigurationController } from './modules/module-configuration.controller.js';
import { ModulesController } from './modules/modules.controller.js';
import { DocumentStreams } from './node-protocol/document-streams.js';
import { NodeArtifactsController } from './node-protocol/node-artifacts.controller.js';
import { NodeAuthentication } from './node-protocol/node-authentication.js';
import { NodeProtocolController } from './node-protocol/node-protocol.controller.js';
import { NodesController } from './nodes/nodes.controller.js';
import { ProblemFilter } from './problem/problem.filter.js';
import { WriteLimitGuard } from './security/write-limit.guard.js';
import { EventStreams } from './streams/event-streams.js';
import { MetricsController } from './telemetry/metrics.controller.js';
import { PrometheusMetrics } from './telemetry/prometheus-metrics.js';
import { KnownQueryGuard } from './validation/known-query.guard.js';
import { RequestValidationPipe } from './validation/request-validation.pipe.js';

/** The REST face; `imports` bring DistributedKernelOrchestrator and the ports' implementations. */
@Module({})
export class ApiModule {
  static forRoot(options: {
    settings: ApiSettings;
    routes: KnownRoutes;
    imports: NonNullable<ModuleMetadata['imports']>;
  }): DynamicModule {
    const { settings, routes, imports } = options;
    const writes = { ttl: 60_000, limit: settings.writesPerMinuteMax };
    return {
      module: ApiModule,
      imports: [
        ...imports,
        TerminusModule.forRoot({ logger: false }),
        ThrottlerModule.forRoot({ throttlers: [writes], setHeaders: true }),
      ],
      controllers: [
        DeploymentsController,
        DeploymentAnalysisController,
        DeploymentStoryController,
        DeploymentControlsController,
        ApprovalsController,
        ModulesController,
        ModuleConfigurationController,
        ArtifactsController,
        ClustersController,
        DetectionController,
        NodesController,
        NodeProtocolController,
        NodeArtifactsController,
        HealthController,
        MetricsController,
      ],
      providers: [
        { provide: ApiSettings, useValue: settings },
        { provide: KnownRoutes, useValue: routes },
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_GUARD, useClass: WriteLimitGuard },
        { provide: APP_GUARD, useClass: KnownQueryGuard },
        { provide: APP_PIPE, useClass: RequestValidationPipe },
        ClusterMetrics,
        DeploymentEventStream,
        EventStreams,
        DocumentStreams,
        NodeAuthentication,
        PrometheusMetrics,
        Readiness,
      ],
      exports: [ApiSettings, PrometheusMetrics, Readiness],
    };
  }
}
