import { Controller, Get, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheckService, HealthIndicatorService, type HealthCheckResult } from '@nestjs/terminus';
import { DatabaseHealth } from '@hotswap/orchestrator';

/** Whether this process is to be given requests: not any more once it shuts down. */
@Injectable()
export class Readiness implements BeforeApplicationShutdown {
  isShuttingDown = false;

  beforeApplicationShutdown(): void {
    this.isShuttingDown = true;
  }
}

const report = {
  type: 'object' as const,
  required: ['status', 'info', 'error', 'details'],
  properties: {
    status: { type: 'string' as const, enum: ['ok', 'error', 'shutting_down'] },
    info: { type: 'object' as const, additionalProperties: true },
    error: { type: 'object' as const, additionalProperties: true },
    details: { type: 'object' as const, additionalProperties: true },
  },
};

@ApiTags('Health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: DatabaseHealth,
    private readonly readiness: Readiness,
  ) {}

  @Get('live')
  @ApiOperation({ operationId: 'isLive', summary: 'Whether this process can serve', security: [] })
  @ApiResponse({ status: 200, description: 'It can.', schema: report })
  isLive(): Promise<HealthCheckResult> {
    return this.health.check([]);
  }

  @Get('ready')
  @ApiOperation({
    operationId: 'isReady',
    summary: 'Whether this process is to be given requests',
    description: 'Not while the database is away or migrations are pending, nor while the process shuts down.',
    security: [],
  })
  @ApiResponse({ status: 200, description: 'It is.', schema: report })
  @ApiResponse({ status: 503, description: 'It is not; `error` says why.', schema: report })
  isReady(): Promise<HealthCheckResult> {
    return this.health.check([() => this.checkProcess(), () => this.checkDatabase()]);
  }

  @Get()
  @ApiOperation({ operationId: 'getHealth', summary: 'What works and what does not', security: [] })
  @ApiResponse({ status: 200, description: 'Everything works.', schema: report })
  @ApiResponse({ status: 503, description: 'Something does not; `error` says what.', schema: report })
  getHealth(): Promise<HealthCheckResult> {
    return this.isReady();
  }

  private checkProcess() {
    const session = this.indicators.check('process');
    return this.readiness.isShuttingDown ? session.down('is shutting down') : session.up();
  }

  private async checkDatabase() {
    const session = this.indicators.check('database');
    const { reachable, migrationsPending, message } = await this.database.check();
    if (!reachable) return session.down(message ?? 'does not answer');
    return migrationsPending ? session.down(message ?? 'has migrations pending') : session.up();
  }
}
