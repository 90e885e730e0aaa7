import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DeploymentExplainer, DeploymentStore } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../problem/api-problems.decorator.js';
import { documentOrStream } from '../streams/document-or-stream.js';
import { EventStreams } from '../streams/event-streams.js';
import { lastEventId, wantsEvents } from '../streams/wants-events.js';
import { PageQuery, pageOf } from '../validation/page-query.dto.js';
import { DeploymentIdPipe, deploymentNotFound } from '../validation/path-parameters.js';
import { DeploymentEventListDto, showEvent } from './deployment-event.dto.js';
import { DeploymentEventStream } from './deployment-event-stream.js';
import { ExplanationDto, showExplanation } from './explanation.dto.js';

/** What happened to a deployment, and why. */
@ApiTags('Deployments')
@Controller('api/v1/deployments')
export class DeploymentStoryController {
  constructor(
    private readonly deployments: DeploymentStore,
    private readonly explainer: DeploymentExplainer,
    private readonly streams: EventStreams,
    private readonly eventStream: DeploymentEventStream,
  ) {}

  @Get(':id/events')
  @ApiOperation({
    operationId: 'listDeploymentEvents',
    summary: 'List what happened to a deployment, oldest first',
    description:
      'With `Accept: text/event-stream` the events are streamed as they happen (`id`, `event`: the type, `data`: the event as JSON), and the stream ends after the final one. `Last-Event-ID` goes on after that event, at any replica; 204 when nothing will follow it.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'Of a stream: id of the newest event that was seen.',
    schema: { type: 'integer', minimum: 0 },
  })
  @ApiExtraModels(DeploymentEventListDto)
  @ApiResponse({ status: 200, description: 'One page.', content: documentOrStream(DeploymentEventListDto) })
  @ApiResponse({ status: 204, description: 'The deployment has ended, and its last event was seen.' })
  @ApiProblems('validation-failed', 'deployment-not-found', 'too-many-streams', 'shutting-down')
  async events(
    @Param('id', DeploymentIdPipe) id: string,
    @Query() query: PageQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (wantsEvents(request)) return this.stream(id, lastEventId(request), reply);
    const page = await this.deployments.events(id, pageOf(query));
    if (!page) throw deploymentNotFound(id);
    void reply.send({ items: page.items.map(showEvent), nextCursor: page.nextCursor } satisfies DeploymentEventListDto);
  }

  @Get(':id/explanation')
  @ApiOperation({
    operationId: 'explainDeployment',
    summary: 'Why a deployment is where it is',
    description:
      'The rule that holds now with its numbers, what it waits for and until when, decided anew for this answer; then every decision that was committed, newest first, a wait once.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: ExplanationDto, description: 'As it is now, and one page of decisions.' })
  @ApiProblems('validation-failed', 'deployment-not-found')
  async explain(@Param('id', DeploymentIdPipe) id: string, @Query() query: PageQuery): Promise<ExplanationDto> {
    const [explanation, decisions] = await Promise.all([
      this.explainer.explain(id),
      this.deployments.decisions(id, pageOf(query)),
    ]);
    if (!explanation || !decisions) throw deploymentNotFound(id);
    return showExplanation(explanation, decisions);
  }

  private async stream(id: string, seenId: number | null, reply: FastifyReply): Promise<void> {
    const found = await this.deployments.eventsAfter(id, seenId ?? 0, 1);
    if (!found) throw deploymentNotFound(id);
    if (seenId !== null && found.isOver) return void reply.status(204).send();
    this.streams.open(reply, this.eventStream.after(id, seenId ?? 0));
  }
}
