import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { ModuleCatalog } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendArtifact } from '../artifacts/send-artifact.js';
import { artifactNotFound, DigestPipe } from '../validation/path-parameters.js';
import { NodeAuthentication } from './node-authentication.js';

/** What nodes fetch of an artifact: its bytes and its signatures. Nodes verify both themselves. */
@ApiExcludeController()
@Controller('internal/v1/artifacts')
export class NodeArtifactsController {
  constructor(
    private readonly catalog: ModuleCatalog,
    private readonly authentication: NodeAuthentication,
  ) {}

  @Get(':digest')
  async artifact(
    @Param('digest', DigestPipe) digest: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.authentication.identify(request);
    const bytes = await this.catalog.artifactBytes(digest);
    if (!bytes) throw artifactNotFound(digest);
    sendArtifact(request, reply, digest, bytes);
  }

  @Get(':digest/bundles')
  async bundles(
    @Param('digest', DigestPipe) digest: string,
    @Req() request: FastifyRequest,
  ): Promise<{ items: unknown[] }> {
    await this.authentication.identify(request);
    return { items: await this.catalog.bundles(digest) };
  }
}
