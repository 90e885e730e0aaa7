import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import {
  environments,
  nodeStates,
  type ClusterStatus,
  type EnvironmentCluster,
  type EnvironmentName,
  type NodeState,
  type Policy,
  type StrategyName,
} from '@hotswap/domain';
import { apiPaths } from '../http/api-paths.js';
import { ModuleOnNodeDto, showModulesOfNode } from './module-on-node.dto.js';

@ApiSchema({ name: 'NodeCounts' })
export class NodeCountsDto {
  @ApiProperty({ type: 'integer', minimum: 0, example: 5 })
  total!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 5, description: 'Ready on their releases.' })
  healthy!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  unhealthy!: number;
}

@ApiSchema({ name: 'ModuleOnCluster' })
export class ModuleOnClusterDto {
  @ApiProperty({ example: 'payment-processor' })
  name!: string;

  @ApiProperty({ type: 'string', nullable: true, description: 'The stable version; null: none yet.', example: '2.0.0' })
  version!: string | null;

  @ApiProperty({ type: 'string', nullable: true, description: 'What ran before it.', example: null })
  previousVersion!: string | null;

  @ApiProperty({
    type: 'string',
    format: 'uri-reference',
    nullable: true,
    description: 'Link to the deployment that is changing it now.',
    example: null,
  })
  activeDeployment!: string | null;
}

@ApiSchema({ name: 'Cluster' })
export class ClusterDto {
  @ApiProperty({ enum: environments, example: 'Production' })
  environment!: EnvironmentName;

  @ApiProperty({ type: 'string', example: 'Canary' })
  strategy!: StrategyName;

  @ApiProperty({ enum: ['Healthy', 'Progressing', 'Degraded', 'Empty'], example: 'Healthy' })
  status!: ClusterStatus;

  @ApiProperty({ type: NodeCountsDto })
  nodeCounts!: NodeCountsDto;

  @ApiProperty({ type: [ModuleOnClusterDto] })
  modules!: ModuleOnClusterDto[];
}

@ApiSchema({ name: 'ClusterList' })
export class ClusterListDto {
  @ApiProperty({ type: [ClusterDto] })
  items!: ClusterDto[];

  @ApiProperty({ type: 'string', nullable: true, example: null })
  nextCursor!: string | null;
}

@ApiSchema({ name: 'Node' })
export class NodeDto {
  @ApiProperty({ example: 'a4c0ffee' })
  id!: string;

  @ApiProperty({ example: 'web-1' })
  hostname!: string;

  @ApiProperty({ description: 'Where its modules are served.', format: 'uri', example: 'http://127.0.0.1:7301' })
  address!: string;

  @ApiProperty({ type: 'string', nullable: true, example: null })
  zone!: string | null;

  @ApiProperty({ enum: nodeStates, example: 'Ready' })
  state!: NodeState;

  @ApiProperty({ description: 'New with every start of its process.' })
  bootId!: string;

  @ApiProperty({ type: 'integer', example: 4711 })
  pid!: number;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  lastHeartbeatAt!: string;

  @ApiProperty({ type: [ModuleOnNodeDto] })
  modules!: ModuleOnNodeDto[];
}

@ApiSchema({ name: 'ClusterWithNodes' })
export class ClusterWithNodesDto extends ClusterDto {
  @ApiProperty({ type: [NodeDto] })
  nodes!: NodeDto[];
}

export function showCluster(cluster: EnvironmentCluster, policy: Policy, active: Map<string, string>): ClusterDto {
  const members = cluster.nodes.filter((node) => node.state(cluster.now, cluster.listening) !== 'Gone');
  const healthy = members.filter((node) => cluster.isHealthy(node)).length;
  const releases = cluster.releases.filter(({ module, release }) => release !== null || active.has(module));
  return {
    environment: cluster.environment,
    strategy: policy.strategy,
    status: cluster.status,
    nodeCounts: { total: members.length, healthy, unhealthy: members.length - healthy },
    modules: releases.map(({ module, release, previous }) => {
      const deploymentId = active.get(module);
      return {
        name: module,
        version: release?.version ?? null,
        previousVersion: previous?.version ?? null,
        activeDeployment: deploymentId === undefined ? null : apiPaths.deployment(deploymentId),
      };
    }),
  };
}

export function showNodes(cluster: EnvironmentCluster): NodeDto[] {
  return cluster.nodes.map((node) => {
    const { id, hostname, address, zone, bootId, pid, lastHeartbeatAt } = node.facts;
    return {
      id,
      hostname,
      address,
      zone,
      state: node.state(cluster.now, cluster.listening),
      bootId,
      pid,
      lastHeartbeatAt: new Date(lastHeartbeatAt).toISOString(),
      modules: showModulesOfNode(node),
    };
  });
}
