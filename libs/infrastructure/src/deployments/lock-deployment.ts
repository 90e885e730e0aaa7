import type { Deployment } from '@hotswap/domain';
import type { EntityManager } from 'typeorm';
import { deploymentEntity } from '../entities/deployment.js';

/** The deployment's row, locked until the transaction ends: nobody decides about it meanwhile. Null: no such deployment. */
export function lockDeployment(manager: EntityManager, id: string): Promise<Deployment | null> {
  return manager
    .createQueryBuilder(deploymentEntity, 'deployment')
    .where('deployment.id = :id', { id })
    .setLock('for_no_key_update')
    .getOne();
}
