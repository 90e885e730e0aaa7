import type { Stage } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';
import { deploymentStageEntity, type StageRow } from '../entities/deployment-stage.js';

/** The stages of these deployments, in order. */
export function loadStageRows(manager: EntityManager, deploymentIds: readonly string[]): Promise<StageRow[]> {
  return manager
    .createQueryBuilder(deploymentStageEntity, 'stage')
    .leftJoinAndSelect('stage.from', 'from')
    .leftJoinAndSelect('stage.to', 'to')
    .where('stage.deploymentId = ANY(:deploymentIds)', { deploymentIds })
    .orderBy('stage.deploymentId')
    .addOrderBy('stage.ordinal')
    .getMany();
}

export async function loadStages(manager: EntityManager, deploymentId: string): Promise<Stage[]> {
  return (await loadStageRows(manager, [deploymentId])).map(toStage);
}

/** An approval that was asked for before several could be is one of one. */
export function toStage({ deploymentId: _deployment, nodes: _nodes, ...stage }: StageRow): Stage {
  return { ...stage, approval: stage.approval && { ...firstApproval, ...stage.approval } };
}

const firstApproval = { required: 1, approvals: [] };
