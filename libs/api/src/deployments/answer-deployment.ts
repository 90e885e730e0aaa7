import type { DeploymentStore } from '@hotswap/orchestrator';
import type { FastifyReply } from 'fastify';
import { apiPaths } from '../http/api-paths.js';
import { deploymentNotFound } from '../validation/path-parameters.js';
import { showDeployment, type DeploymentDto } from './deployment.dto.js';

/** Of answers that come with `answerDeployment`. */
export const deploymentLocation = {
  Location: { description: 'The deployment.', schema: { type: 'string' as const } },
};

/** The deployment as it is now, with its address in `Location`. Throws a Problem where there is none. */
export async function answerDeployment(
  deployments: DeploymentStore,
  id: string,
  reply: FastifyReply,
): Promise<DeploymentDto> {
  const record = await deployments.find(id);
  if (!record) throw deploymentNotFound(id);
  reply.header('location', apiPaths.deployment(id));
  return showDeployment(record);
}
