import helmet from '@fastify/helmet';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  ApiModule,
  createHttpAdapter,
  KnownRoutes,
  mountDocumentation,
  observeRequests,
  PrometheusMetrics,
} from '@hotswap/api';
import type { Strategy } from '@hotswap/domain';
import { InfrastructureModule } from '@hotswap/infrastructure';
import type { Trust } from '@hotswap/module-kit';
import { OrchestratorModule } from '@hotswap/orchestrator';
import type { Logger } from 'pino';
import { NestLog } from './log.js';
import { nameRequestSpans } from './name-request-spans.js';
import type { Settings } from './settings.js';

/** The whole control plane, put together and initialised; `listen` makes it reachable. `strategies` are those beside HotSwap's own. */
export async function createApplication(
  settings: Settings,
  trust: Trust,
  log: Logger,
  strategies: readonly Type<Strategy>[] = [],
): Promise<NestFastifyApplication> {
  const routes = new KnownRoutes();
  const adapter = createHttpAdapter(settings, routes);
  const infrastructure = InfrastructureModule.forRoot({ databaseUrl: settings.databaseUrl });
  const orchestrator = OrchestratorModule.forRoot({
    trust,
    allowedCheckHosts: settings.allowedCheckHosts,
    strategies,
    imports: [infrastructure],
  });
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.forRoot({ settings, routes, imports: [orchestrator, infrastructure] }),
    adapter,
    { logger: new NestLog(log), bodyParser: false, abortOnError: false },
  );
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        // Swagger UI writes style attributes.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // The process itself speaks plain HTTP; who puts TLS before it decides.
    strictTransportSecurity: false,
  });
  nameRequestSpans(app);
  observeRequests(adapter.getInstance(), app.get(PrometheusMetrics));
  mountDocumentation(app);
  return app;
}
