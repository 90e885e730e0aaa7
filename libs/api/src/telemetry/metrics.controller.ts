import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { ApiProblems } from '../problem/api-problems.decorator.js';
import { PrometheusMetrics } from './prometheus-metrics.js';

@ApiTags('Health')
@Controller('metrics')
export class MetricsController {
  constructor(private readonly metrics: PrometheusMetrics) {}

  @Get()
  @ApiOperation({ operationId: 'getMetrics', summary: 'Figures for Prometheus' })
  @ApiResponse({
    status: 200,
    description: 'Prometheus’ text format.',
    content: { 'text/plain': { schema: { type: 'string' } } },
  })
  @ApiProblems()
  async get(@Res() reply: FastifyReply): Promise<void> {
    const text = await this.metrics.text();
    void reply.header('content-type', this.metrics.contentType).send(text);
  }
}
