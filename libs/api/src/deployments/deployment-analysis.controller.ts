import { Readable } from 'node:stream';
import { latencyBucketSeconds } from '@hotswap/agent-protocol';
import { Body, Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { analyseRecording, writeRecording, type EnvironmentName, type OutputLine } from '@hotswap/domain';
import { AnalysisStore, type StageAnalysis } from '@hotswap/orchestrator';
import type { FastifyReply } from 'fastify';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { Problem } from '../problem/problem.js';
import { DeploymentIdPipe, deploymentNotFound } from '../validation/path-parameters.js';
import {
  DeploymentAnalysisDto,
  RecordingQuery,
  ReplayAnswerDto,
  ReplayDto,
  showStageAnalysis,
} from './deployment-analysis.dto.js';

/** How canaries were judged, with everything that is needed to judge them again. */
@ApiTags('Deployments')
@Controller('api/v1/deployments')
export class DeploymentAnalysisController {
  constructor(private readonly analyses: AnalysisStore) {}

  @Get(':id/analysis')
  @ApiOperation({ operationId: 'getDeploymentAnalysis', summary: 'How a deployment’s canaries were judged' })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: DeploymentAnalysisDto, description: 'One entry per analysed environment.' })
  @ApiProblems('validation-failed', 'deployment-not-found')
  async get(@Param('id', DeploymentIdPipe) id: string): Promise<DeploymentAnalysisDto> {
    return { items: (await this.load(id)).map(showStageAnalysis), nextCursor: null };
  }

  @Get(':id/recording')
  @ApiOperation({
    operationId: 'getDeploymentRecording',
    summary: 'The stream that a canary was judged by, for `npm run analyze -- FILE`',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({
    status: 200,
    description: 'JSON Lines, in time order; docs/analysis.md describes them. Kept for 14 days.',
    content: { 'application/jsonl': { schema: { type: 'string' } } },
  })
  @ApiProblems('validation-failed', 'deployment-not-found', 'analysis-not-found')
  async recording(
    @Param('id', DeploymentIdPipe) id: string,
    @Query() { environment }: RecordingQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const lines = this.lines(await this.stage(id, environment));
    void reply.header('content-type', 'application/jsonl').send(Readable.from(withNewlines(lines)));
  }

  @Post(':id/replay')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'replayDeployment',
    summary: 'Judge a canary again by its recorded stream, with other numbers if wanted',
    description: 'Changes nothing. The same stream and numbers give the same verdicts.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: ReplayDto, required: false })
  @ApiResponse({ status: 200, type: ReplayAnswerDto, description: 'What would have been said.' })
  @ApiWriteProblems('deployment-not-found', 'analysis-not-found')
  async replay(@Param('id', DeploymentIdPipe) id: string, @Body() body: ReplayDto): Promise<ReplayAnswerDto> {
    const stage = await this.stage(id, body.environment);
    const verdicts: OutputLine[] = [];
    for await (const line of analyseRecording(numbered(this.lines(stage)), body.parameters ?? {})) verdicts.push(line);
    const summary = verdicts.pop() ?? {};
    return { verdicts, summary };
  }

  private async load(id: string): Promise<StageAnalysis[]> {
    const stages = await this.analyses.find(id);
    if (!stages) throw deploymentNotFound(id);
    return stages;
  }

  private async stage(id: string, environment: EnvironmentName | undefined): Promise<StageAnalysis> {
    const stages = await this.load(id);
    const stage = stages.findLast((each) => environment === undefined || each.environment === environment);
    if (stage) return stage;
    const where = environment ? ` in ${environment}` : '';
    throw new Problem('analysis-not-found', `Deployment ${id} has had no canary with an analysis${where} yet`);
  }

  private lines(stage: StageAnalysis): AsyncGenerator<string> {
    const { stable, target, parameters, entries } = stage;
    const nodes = new Set(entries.flatMap((entry) => (entry.kind === 'stage' ? entry.nodes : [])));
    const deployment = {
      stable: stable?.version ?? '',
      candidate: target.version,
      nodes: [...nodes],
      latencyBucketSeconds,
      parameters,
      requestsPerSecond: null,
    };
    return writeRecording(deployment, this.analyses.events(stage));
  }
}

async function* withNewlines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}

async function* numbered(lines: AsyncIterable<string>): AsyncGenerator<{ number: number; text: string }> {
  let number = 0;
  for await (const text of lines) yield { number: ++number, text };
}
