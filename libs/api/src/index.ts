export { ApiModule } from './api.module.js';
export { ApiSettings, isLoopback } from './api-settings.js';
export { createOpenApiDocument } from './documentation/openapi-document.js';
export { mountDocumentation } from './documentation/mount-documentation.js';
export { Readiness } from './health/health.controller.js';
export { createHttpAdapter } from './http/http-adapter.js';
export { KnownRoutes } from './http/known-routes.js';
export { PrometheusMetrics } from './telemetry/prometheus-metrics.js';
export { observeRequests } from './telemetry/request-log.js';
