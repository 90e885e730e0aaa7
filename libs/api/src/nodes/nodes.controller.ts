import { Body, Controller, Delete, Get, HttpCode, Logger, Param, Post } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiProperty, ApiResponse, ApiSchema, ApiTags } from '@nestjs/swagger';
import { environments, type EnvironmentName } from '@hotswap/domain';
import { ClusterStore, NodeRegistry } from '@hotswap/orchestrator';
import { NodeDto, showNodes } from '../clusters/cluster.dto.js';
import { WithReasonDto } from '../deployments/deployment-requests.dto.js';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { NodeIdPipe, nodeNotFound } from '../validation/path-parameters.js';

@ApiSchema({ name: 'NodeWithEnvironment' })
export class NodeWithEnvironmentDto extends NodeDto {
  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;
}

const nodeId = { name: 'id', example: 'a4c0ffee' };

@ApiTags('Clusters')
@Controller('api/v1/nodes')
export class NodesController {
  private readonly logger = new Logger(NodesController.name);

  constructor(
    private readonly clusters: ClusterStore,
    private readonly nodes: NodeRegistry,
  ) {}

  @Get(':id')
  @ApiOperation({ operationId: 'getNode', summary: 'Look at a node' })
  @ApiParam(nodeId)
  @ApiResponse({ status: 200, type: NodeWithEnvironmentDto, description: 'The node as it last said.' })
  @ApiProblems('validation-failed', 'node-not-found')
  async get(@Param('id', NodeIdPipe) id: string): Promise<NodeWithEnvironmentDto> {
    const clusters = await Promise.all(environments.map((environment) => this.clusters.load(environment)));
    for (const cluster of clusters) {
      const node = showNodes(cluster).find((shown) => shown.id === id);
      if (node) return { environment: cluster.environment, ...node };
    }
    throw nodeNotFound(id);
  }

  @Post(':id/drain')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'drainNode',
    summary: 'Have a node leave its traffic',
    description:
      'It goes to LameDuck, then Draining, and stays there, left out by rollouts, until its process is started again or it is decommissioned.',
  })
  @ApiParam(nodeId)
  @ApiBody({ type: WithReasonDto, required: false })
  @ApiResponse({ status: 202, type: NodeWithEnvironmentDto, description: 'The node, which is told to.' })
  @ApiWriteProblems('node-not-found')
  async drain(@Param('id', NodeIdPipe) id: string, @Body() { reason }: WithReasonDto): Promise<NodeWithEnvironmentDto> {
    if (!(await this.nodes.drain(id))) throw nodeNotFound(id);
    this.logger.warn(`Node ${id} is drained by request${reason ? `: ${reason}` : ''}`);
    return this.get(id);
  }

  @Delete(':id')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'decommissionNode',
    summary: 'Take a node out of its cluster for good',
    description: 'Its process leaves its traffic without a failed request, and ends.',
  })
  @ApiParam(nodeId)
  @ApiResponse({ status: 202, type: NodeWithEnvironmentDto, description: 'The node as it last said.' })
  @ApiWriteProblems('node-not-found')
  async decommission(@Param('id', NodeIdPipe) id: string): Promise<NodeWithEnvironmentDto> {
    const node = await this.get(id);
    if (!(await this.nodes.decommission(id))) throw nodeNotFound(id);
    this.logger.warn(`Node ${id} of ${node.environment} was decommissioned by request`);
    return node;
  }
}
