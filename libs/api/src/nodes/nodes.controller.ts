import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiProperty, ApiResponse, ApiSchema, ApiTags } from '@nestjs/swagger';
import { environments, type EnvironmentName } from '@hotswap/domain';
import { ClusterStore } from '@hotswap/orchestrator';
import { NodeDto, showNodes } from '../clusters/cluster.dto.js';
import { ApiProblems } from '../problem/api-problems.decorator.js';
import { NodeIdPipe, nodeNotFound } from '../validation/path-parameters.js';

@ApiSchema({ name: 'NodeWithEnvironment' })
export class NodeWithEnvironmentDto extends NodeDto {
  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;
}

@ApiTags('Clusters')
@Controller('api/v1/nodes')
export class NodesController {
  constructor(private readonly clusters: ClusterStore) {}

  @Get(':id')
  @ApiOperation({ operationId: 'getNode', summary: 'Look at a node' })
  @ApiParam({ name: 'id', example: 'a4c0ffee' })
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
}
