import type { Deployment } from '@hotswap/domain';
import type { EntityManager, SelectQueryBuilder } from 'typeorm';
import { deploymentEntity } from '../entities/deployment.js';

/** Deployments as the domain knows them; the query's name for them is `deployment`. */
export function selectDeployments(manager: EntityManager): SelectQueryBuilder<Deployment> {
  return manager
    .createQueryBuilder(deploymentEntity, 'deployment')
    .leftJoin('deployment.supersedes', 'superseded')
    .addSelect(['superseded.id', 'superseded.status']);
}
