import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DistributedKernelOrchestrator, ModuleCatalog } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiPaths } from '../http/api-paths.js';
import { bundleCountMax } from '../http/limits.js';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import type { Problem } from '../problem/problem.js';
import { PageQuery, pageOf } from '../validation/page-query.dto.js';
import { isExactVersion, moduleNotFound, ModuleNamePipe, versionNotFound } from '../validation/path-parameters.js';
import {
  ModuleDto,
  ModuleListDto,
  ModuleVersionDto,
  showModule,
  showModuleVersion,
  WithdrawDto,
} from './module.dto.js';
import { readUpload } from './read-upload.js';

const location = { Location: { description: 'The version.', schema: { type: 'string' as const } } };

@ApiTags('Modules')
@Controller('api/v1/modules')
export class ModulesController {
  constructor(
    private readonly orchestrator: DistributedKernelOrchestrator,
    private readonly catalog: ModuleCatalog,
  ) {}

  @Post()
  @ApiOperation({
    operationId: 'publishModule',
    summary: 'Publish a signed version of a module',
    description: 'A version once published never changes. The same bytes again answer 200.',
  })
  @ApiConsumes('multipart/form-data')
  @ApiBody({
    required: true,
    schema: {
      type: 'object',
      required: ['artifact'],
      properties: {
        artifact: {
          type: 'string',
          contentMediaType: 'application/gzip',
          description: 'What `npm pack` makes (.tgz), up to 10 MiB.',
        } as object,
        bundle: {
          type: 'array',
          maxItems: bundleCountMax,
          items: { type: 'string', contentMediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json' } as object,
          description: 'Sigstore bundle (v0.3) over the artifact; repeat the part for more signatures.',
        },
      },
    },
  })
  @ApiResponse({ status: 201, type: ModuleVersionDto, headers: location, description: 'Published.' })
  @ApiResponse({
    status: 200,
    type: ModuleVersionDto,
    headers: location,
    description: 'These bytes were published before.',
  })
  @ApiProblems(
    'validation-failed',
    'malformed-multipart',
    'foreign-origin',
    'version-exists',
    'too-large',
    'unsupported-media-type',
    'signature-missing',
    'signature-invalid',
    'untrusted-signer',
    'artifact-invalid',
    'too-many-requests',
  )
  async publish(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ModuleVersionDto> {
    const { artifact, bundles } = await readUpload(request);
    const { outcome, published } = await this.orchestrator.publish(artifact, bundles);
    reply
      .status(outcome === 'created' ? 201 : 200)
      .header('location', apiPaths.moduleVersion(published.name, published.version));
    return showModuleVersion(published);
  }

  @Get()
  @ApiOperation({ operationId: 'listModules', summary: 'List published modules' })
  @ApiResponse({ status: 200, type: ModuleListDto, description: 'One page.' })
  @ApiProblems('validation-failed')
  async list(@Query() query: PageQuery): Promise<ModuleListDto> {
    const { items, nextCursor } = await this.catalog.list(pageOf(query));
    return { items: items.map(showModule), nextCursor };
  }

  @Get(':name')
  @ApiOperation({ operationId: 'getModule', summary: 'Look at a module: its versions, and where they run' })
  @ApiParam({ name: 'name', example: 'payment-processor' })
  @ApiResponse({ status: 200, type: ModuleDto, description: 'The module.' })
  @ApiProblems('validation-failed', 'module-not-found')
  async get(@Param('name', ModuleNamePipe) name: string): Promise<ModuleDto> {
    const module = await this.catalog.find(name);
    if (!module) throw moduleNotFound(name);
    return showModule(module);
  }

  @Get(':name/versions/:version')
  @ApiOperation({ operationId: 'getModuleVersion', summary: 'Look at a published version' })
  @ApiParam({ name: 'name', example: 'payment-processor' })
  @ApiParam({ name: 'version', example: '2.1.0' })
  @ApiResponse({ status: 200, type: ModuleVersionDto, description: 'The version.' })
  @ApiProblems('validation-failed', 'module-not-found', 'version-not-found')
  async getVersion(
    @Param('name', ModuleNamePipe) name: string,
    @Param('version') version: string,
  ): Promise<ModuleVersionDto> {
    const published = isExactVersion(version) ? await this.catalog.findVersion(name, version) : null;
    if (published) return showModuleVersion(published);
    throw await this.unknown(name, version);
  }

  @Post(':name/versions/:version/withdraw')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'withdrawModuleVersion',
    summary: 'Let no new deployment take a version',
    description: 'Where it runs it stays. For good; the first reason is kept.',
  })
  @ApiParam({ name: 'name', example: 'payment-processor' })
  @ApiParam({ name: 'version', example: '2.1.0' })
  @ApiResponse({ status: 200, type: ModuleVersionDto, description: 'The version, withdrawn.' })
  @ApiWriteProblems('module-not-found', 'version-not-found')
  async withdraw(
    @Param('name', ModuleNamePipe) name: string,
    @Param('version') version: string,
    @Body() { reason }: WithdrawDto,
  ): Promise<ModuleVersionDto> {
    const withdrawn = isExactVersion(version) ? await this.catalog.withdraw(name, version, reason) : null;
    if (withdrawn) return showModuleVersion(withdrawn);
    throw await this.unknown(name, version);
  }

  private async unknown(name: string, version: string): Promise<Problem> {
    return (await this.catalog.find(name)) ? versionNotFound(name, version) : moduleNotFound(name);
  }
}
