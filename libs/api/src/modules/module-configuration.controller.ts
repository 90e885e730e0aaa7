import { Body, Controller, Get, Headers, Param, Put, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { environments, type EnvironmentName } from '@hotswap/domain';
import { ModuleCatalog, type VersionedConfiguration } from '@hotswap/orchestrator';
import type { FastifyReply } from 'fastify';
import { matchesTag, tagOf } from '../http/entity-tags.js';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { Problem } from '../problem/problem.js';
import { EnvironmentPipe, moduleNotFound, ModuleNamePipe } from '../validation/path-parameters.js';
import { checkConfiguration, configurationLimits } from './check-configuration.js';

type Values = Record<string, unknown>;

const name = { name: 'name', example: 'payment-processor' };
const environment = { name: 'environment', enum: environments, description: 'Read case-insensitively.' };
const entityTag = {
  ETag: { description: 'Revision of the configuration.', schema: { type: 'string' as const, example: '"1"' } },
};
const schema = {
  type: 'object' as const,
  additionalProperties: true,
  maxProperties: configurationLimits.names,
  example: { currency: 'EUR', retries: 3 },
};

/** What a module finds in `env` in one environment, beside its secrets. */
@ApiTags('Modules')
@Controller('api/v1/modules/:name/configuration/:environment')
export class ModuleConfigurationController {
  constructor(private readonly catalog: ModuleCatalog) {}

  @Get()
  @ApiOperation({ operationId: 'getConfiguration', summary: 'What a module is configured with in an environment' })
  @ApiParam(name)
  @ApiParam(environment)
  @ApiResponse({ status: 200, schema, headers: entityTag, description: 'Empty while nobody has set any.' })
  @ApiProblems('validation-failed', 'module-not-found', 'environment-not-found')
  async get(
    @Param('name', ModuleNamePipe) module: string,
    @Param('environment', EnvironmentPipe) place: EnvironmentName,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Values> {
    await this.checkModule(module);
    return answer(reply, await this.catalog.configuration(module, place));
  }

  @Put()
  @ApiOperation({
    operationId: 'replaceConfiguration',
    summary: 'Change what a module is configured with in an environment',
    description: 'Part of the release, so that it goes out, and comes back, like code: by the next deployment.',
  })
  @ApiParam(name)
  @ApiParam(environment)
  @ApiHeader({
    name: 'If-Match',
    required: true,
    description: 'ETag of the configuration that this one replaces, or `*`.',
    schema: { type: 'string' },
  })
  @ApiBody({ required: true, schema })
  @ApiResponse({ status: 200, schema, headers: entityTag, description: 'The configuration as it is now.' })
  @ApiWriteProblems('module-not-found', 'environment-not-found', 'precondition-failed', 'precondition-required')
  async replace(
    @Param('name', ModuleNamePipe) module: string,
    @Param('environment', EnvironmentPipe) place: EnvironmentName,
    @Headers('if-match') ifMatch: string | undefined,
    @Body() body: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Values> {
    const values = checkConfiguration(body);
    await this.checkModule(module);
    if (ifMatch === undefined) {
      const detail = 'Send If-Match with the ETag of the configuration that this one replaces';
      throw new Problem('precondition-required', detail);
    }
    const { revision } = await this.catalog.configuration(module, place);
    const replaced = matchesTag(ifMatch, tagOf(revision))
      ? await this.catalog.replaceConfiguration(module, place, values, revision)
      : null;
    if (replaced) return answer(reply, replaced);
    const detail = `The configuration of ${module} in ${place} is not the one of If-Match any more; read it again`;
    throw new Problem('precondition-failed', detail);
  }

  private async checkModule(module: string): Promise<void> {
    if (!(await this.catalog.find(module))) throw moduleNotFound(module);
  }
}

function answer(reply: FastifyReply, { values, revision }: VersionedConfiguration): Values {
  reply.header('etag', tagOf(revision));
  return values;
}
