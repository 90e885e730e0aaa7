export { InfrastructureModule } from './infrastructure.module.js';
