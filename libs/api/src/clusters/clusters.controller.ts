import { Body, Controller, Delete, Get, Headers, HttpCode, Logger, Param, Put, Query, Req, Res } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { environments, type EnvironmentName, type Policy } from '@hotswap/domain';
import { ClusterStore, StrategyRegistry, type VersionedPolicy } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { inProgress } from '../deployments/in-progress.js';
import { matchesTag, tagOf } from '../http/entity-tags.js';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { Problem } from '../problem/problem.js';
import { documentOrStream } from '../streams/document-or-stream.js';
import { EventStreams } from '../streams/event-streams.js';
import { wantsEvents } from '../streams/wants-events.js';
import { EnvironmentPipe, ModuleNamePipe } from '../validation/path-parameters.js';
import { ClusterDto, ClusterListDto, ClusterWithNodesDto, showCluster, showNodes } from './cluster.dto.js';
import { ClusterMetrics } from './cluster-metrics.js';
import { ClusterMetricsDto, MetricsQuery } from './metrics.dto.js';
import { PolicyDto } from './policy.dto.js';

const entityTag = {
  ETag: { description: 'Revision of the policy.', schema: { type: 'string' as const, example: '"1"' } },
};
const environment = { name: 'environment', enum: environments, description: 'Read case-insensitively.' };

@ApiTags('Clusters')
@Controller('api/v1/clusters')
export class ClustersController {
  private readonly logger = new Logger(ClustersController.name);

  constructor(
    private readonly clusters: ClusterStore,
    private readonly metrics: ClusterMetrics,
    private readonly streams: EventStreams,
    private readonly strategies: StrategyRegistry,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'listClusters', summary: 'List the environments and what they run' })
  @ApiResponse({ status: 200, type: ClusterListDto, description: 'All environments, in the order of deployments.' })
  @ApiProblems('validation-failed')
  async list(): Promise<ClusterListDto> {
    const items: ClusterDto[] = await Promise.all(environments.map(async (name) => (await this.load(name)).shown));
    return { items, nextCursor: null };
  }

  @Get(':environment')
  @ApiOperation({ operationId: 'getCluster', summary: 'Look at an environment with its nodes' })
  @ApiParam(environment)
  @ApiResponse({ status: 200, type: ClusterWithNodesDto, description: 'The environment as its nodes last said.' })
  @ApiProblems('validation-failed', 'environment-not-found')
  async get(@Param('environment', EnvironmentPipe) name: EnvironmentName): Promise<ClusterWithNodesDto> {
    const { shown, cluster } = await this.load(name);
    return { ...shown, nodes: showNodes(cluster) };
  }

  @Get(':environment/metrics')
  @ApiOperation({
    operationId: 'getClusterMetrics',
    summary: 'What an environment’s nodes measured of real requests',
    description:
      'The last minute by default. With `Accept: text/event-stream` the same every two seconds, as events `metrics`.',
  })
  @ApiParam(environment)
  @ApiExtraModels(ClusterMetricsDto)
  @ApiResponse({
    status: 200,
    description: 'Sums, by module, by node, and over time.',
    content: documentOrStream(ClusterMetricsDto),
  })
  @ApiProblems('validation-failed', 'environment-not-found', 'too-many-streams', 'shutting-down')
  async getMetrics(
    @Param('environment', EnvironmentPipe) name: EnvironmentName,
    @Query() query: MetricsQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const first = await this.metrics.read(name, query);
    if (!wantsEvents(request)) return void reply.send(first);
    this.streams.open(reply, this.metrics.follow(name, query));
  }

  @Delete(':environment/modules/:name')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'removeModule',
    summary: 'Take a module off an environment',
    description:
      'Its nodes drain and unload it. There is nothing to roll back to afterwards: deploy it to have it again.',
  })
  @ApiParam(environment)
  @ApiParam({ name: 'name', example: 'payment-processor' })
  @ApiResponse({
    status: 202,
    type: ClusterWithNodesDto,
    description: 'The environment, whose nodes unload the module.',
  })
  @ApiWriteProblems('environment-not-found', 'module-not-found', 'deployment-in-progress')
  async removeModule(
    @Param('environment', EnvironmentPipe) name: EnvironmentName,
    @Param('name', ModuleNamePipe) module: string,
  ): Promise<ClusterWithNodesDto> {
    const outcome = await this.clusters.removeModule(name, module);
    switch (outcome.kind) {
      case 'deployment-in-progress':
        throw inProgress(outcome.id);
      case 'not-there':
        throw new Problem('module-not-found', `${name} does not run ${module}`);
      case 'removed':
        this.logger.warn(`${module} was taken off ${name} by request`);
        return this.get(name);
    }
  }

  @Get(':environment/policy')
  @ApiOperation({ operationId: 'getPolicy', summary: 'How an environment takes new releases' })
  @ApiParam(environment)
  @ApiResponse({ status: 200, type: PolicyDto, headers: entityTag, description: 'The policy.' })
  @ApiProblems('validation-failed', 'environment-not-found')
  async getPolicy(
    @Param('environment', EnvironmentPipe) name: EnvironmentName,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Policy> {
    return answerPolicy(reply, await this.clusters.policy(name));
  }

  @Put(':environment/policy')
  @ApiOperation({
    operationId: 'replacePolicy',
    summary: 'Change how an environment takes new releases',
    description: 'Rollouts under way follow the new policy from their next decision on.',
  })
  @ApiParam(environment)
  @ApiHeader({ name: 'If-Match', required: true, description: 'ETag of the policy that this one replaces, or `*`.' })
  @ApiResponse({ status: 200, type: PolicyDto, headers: entityTag, description: 'The policy as it is now.' })
  @ApiWriteProblems('environment-not-found', 'precondition-failed', 'precondition-required')
  async replacePolicy(
    @Param('environment', EnvironmentPipe) name: EnvironmentName,
    @Headers('if-match') ifMatch: string | undefined,
    @Body() body: PolicyDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Policy> {
    if (ifMatch === undefined)
      throw new Problem('precondition-required', 'Send If-Match with the ETag of the policy that this one replaces');
    const strategy = this.strategies.find(body.strategy);
    if (!strategy) {
      const message = `must be one of ${this.strategies.names.join(', ')}`;
      throw Problem.invalid([{ pointer: '/strategy', message }]);
    }
    const { revision } = await this.clusters.policy(name);
    const policy = { ...body, strategy: strategy.name };
    const replaced = matchesTag(ifMatch, tagOf(revision))
      ? await this.clusters.replacePolicy(name, policy, revision)
      : null;
    if (replaced) return answerPolicy(reply, replaced);
    throw new Problem(
      'precondition-failed',
      `The policy of ${name} is not the one of If-Match any more; read it again`,
    );
  }

  private async load(name: EnvironmentName) {
    const [cluster, { policy }, active] = await Promise.all([
      this.clusters.load(name),
      this.clusters.policy(name),
      this.clusters.activeDeployments(name),
    ]);
    return { cluster, shown: showCluster(cluster, policy, active) };
  }
}

function answerPolicy(reply: FastifyReply, { policy, revision }: VersionedPolicy): Policy {
  reply.header('etag', tagOf(revision));
  return policy;
}
