export { DatabaseHealth, type DatabaseState } from './database/database-health.js';
export { InfrastructureModule } from './infrastructure.module.js';
