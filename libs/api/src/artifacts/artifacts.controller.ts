import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ModuleCatalog } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiProblems } from '../problem/api-problems.decorator.js';
import { artifactNotFound, DigestPipe } from '../validation/path-parameters.js';
import { sendArtifact } from './send-artifact.js';

@ApiTags('Modules')
@Controller('api/v1/artifacts')
export class ArtifactsController {
  constructor(private readonly catalog: ModuleCatalog) {}

  @Get(':digest')
  @ApiOperation({
    operationId: 'getArtifact',
    summary: 'Download an artifact by its digest',
    description:
      'The bytes as stored: check that their sha256 is the digest. They never change, so the answer may be cached for ever.',
  })
  @ApiParam({ name: 'digest', schema: { type: 'string', pattern: '^sha256:[0-9a-f]{64}$' } })
  @ApiResponse({
    status: 200,
    description: 'A gzipped tarball.',
    headers: { ETag: { description: 'The digest, quoted.', schema: { type: 'string' } } },
    content: { 'application/gzip': { schema: { type: 'string', format: 'binary' } } },
  })
  @ApiResponse({ status: 304, description: 'If-None-Match named the digest.' })
  @ApiProblems('validation-failed', 'artifact-not-found')
  async get(
    @Param('digest', DigestPipe) digest: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const bytes = await this.catalog.artifactBytes(digest);
    if (!bytes) throw artifactNotFound(digest);
    sendArtifact(request, reply, digest, bytes);
  }
}
