import type { Environment, LocalCluster } from './local-cluster.js';
import { waitFor } from './wait-for.js';

/** What the tests read of a deployment; the contract has more. */
export interface Deployment {
  id: string;
  status: string;
  reason: { code: string; message: string; data: Record<string, unknown> };
  stages: {
    name: string;
    environment?: Environment;
    status: string;
    strategy?: string;
    step?: { number: number } | null;
    rollback?: { decidedAt: string; confirmedAt: string | null; seconds: number | null } | null;
    reason?: { code: string; message: string };
  }[];
}

const finalStatuses = ['Succeeded', 'Failed', 'RolledBack', 'Cancelled', 'Superseded'];

/** @throws Error with the answer when it was not accepted */
export async function deploy(
  cluster: LocalCluster,
  version: string,
  targetEnvironment: Environment,
  more: { requireApproval?: boolean } = {},
): Promise<string> {
  const { status, body } = await cluster.post<Deployment>('/api/v1/deployments', {
    moduleName: 'payment-processor',
    version,
    targetEnvironment,
    requesterEmail: 'user@example.com',
    ...more,
  });
  if (status !== 202) throw new Error(`The deployment was answered ${status}: ${JSON.stringify(body)}`);
  return body.id;
}

/** As the API says now; null while it does not answer, as when it is restarted. */
export async function look(cluster: LocalCluster, id: string): Promise<Deployment | null> {
  const answer = await cluster.get<Deployment>(`/api/v1/deployments/${id}`).catch(() => null);
  return answer?.status === 200 ? answer.body : null;
}

export function stageOf({ stages }: Deployment, environment: Environment) {
  return stages.find((stage) => stage.name === 'Deploy' && stage.environment === environment);
}

/** Waits until that environment's rollout has come to this step, or beyond. */
export async function waitForStep(
  cluster: LocalCluster,
  id: string,
  environment: Environment,
  step = 1,
): Promise<Deployment> {
  return waitFor(
    `step ${step} of ${environment} in deployment ${id}`,
    async () => {
      const deployment = await look(cluster, id);
      const stage = deployment && stageOf(deployment, environment);
      if (deployment && finalStatuses.includes(deployment.status)) {
        throw new Error(`It is ${deployment.status}: ${deployment.reason.message}`);
      }
      return (stage?.step?.number ?? -1) >= step ? deployment : null;
    },
    { deadlineSeconds: 120 },
  );
}

export async function waitForEnd(
  cluster: LocalCluster,
  id: string,
  wanted = finalStatuses,
  deadlineSeconds = 170,
): Promise<Deployment> {
  let last: Deployment | null = null;
  try {
    return await waitFor(
      `deployment ${id} is ${wanted.join(' or ')}`,
      async () => {
        last = (await look(cluster, id)) ?? last;
        return last !== null && wanted.includes(last.status) ? last : null;
      },
      { deadlineSeconds },
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}; it was ${JSON.stringify(last)}`, { cause: error });
  }
}
