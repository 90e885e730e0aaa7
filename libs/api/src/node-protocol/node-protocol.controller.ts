import { Body, Controller, Get, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { JoinResponse } from '@hotswap/agent-protocol';
import { NodeRegistry } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problem/problem.js';
import { secretHash } from '../security/bearer.js';
import { NodeIdPipe } from '../validation/path-parameters.js';
import { beginStream } from '../streams/server-sent-event.js';
import { DocumentStreams } from './document-streams.js';
import { JoinDto } from './join.dto.js';
import { NodeAuthentication } from './node-authentication.js';
import { ReportDto } from './report.dto.js';

/** The nodes' side: packages/agent-protocol says what is sent. */
@ApiExcludeController()
@Controller('internal/v1/nodes')
export class NodeProtocolController {
  constructor(
    private readonly nodes: NodeRegistry,
    private readonly authentication: NodeAuthentication,
    private readonly streams: DocumentStreams,
  ) {}

  @Post()
  @HttpCode(200)
  async join(@Req() request: FastifyRequest, @Body() body: JoinDto): Promise<JoinResponse> {
    const { secret, knownSecretHash } = await this.authentication.admit(request, body.nodeId);
    const joining = { ...body, zone: body.zone ?? null, accepted: body.accepted ?? null };
    const outcome = await this.nodes.join(joining, secretHash(secret), knownSecretHash);
    switch (outcome.kind) {
      case 'joined':
        return { nodeId: body.nodeId, secret, document: outcome.document };
      case 'identity-taken':
        throw new Problem('identity-taken', `Node ${body.nodeId} is another node's id, or one of another environment`);
      case 'decommissioned':
        throw decommissioned(body.nodeId);
    }
  }

  @Get(':id/document')
  async document(
    @Param('id', NodeIdPipe) id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.authentication.identify(request, id);
    const isStream = request.headers.accept?.includes('text/event-stream') ?? false;
    if (isStream) this.streams.checkRoom(id);
    const document = await this.nodes.document(id);
    if (!document) throw decommissioned(id);
    if (!isStream) {
      void reply.header('cache-control', 'no-store').send(document);
      return;
    }
    this.streams.open(id, beginStream(reply), document);
  }

  @Post(':id/reports')
  @HttpCode(204)
  async report(
    @Param('id', NodeIdPipe) id: string,
    @Req() request: FastifyRequest,
    @Body() body: ReportDto,
  ): Promise<void> {
    await this.authentication.identify(request, id);
    const outcome = await this.nodes.report(id, body);
    switch (outcome) {
      case 'accepted':
      case 'repeated':
        return;
      case 'fenced':
        throw new Problem('fenced', `A later boot of node ${id} has registered; this process must end`);
      case 'decommissioned':
        throw decommissioned(id);
      case 'unknown-node':
        throw new Problem('unauthenticated', `Node ${id} is not known (any more); join again`);
    }
  }
}

function decommissioned(id: string): Problem {
  return new Problem(
    'decommissioned',
    `Node ${id} was taken out of its cluster; start it with an empty directory to join anew`,
  );
}
