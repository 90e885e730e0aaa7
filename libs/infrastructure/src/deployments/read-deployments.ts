import type { Deployment } from '@hotswap/domain';
import type { DeploymentFilter, DeploymentRecord, Page, PageRequest } from '@hotswap/orchestrator';
import type { DataSource, EntityManager, SelectQueryBuilder } from 'typeorm';
import { decodeCursor, toPage } from '../cursor.js';
import { readConsistently } from '../database/read-consistently.js';
import type { NodeCounts } from '../entities/deployment-stage.js';
import { countNodes } from './count-nodes.js';
import { loadStageRows, toStage } from './load-stages.js';
import { selectDeployments } from './select-deployments.js';

export function findDeployment(dataSource: DataSource, id: string): Promise<DeploymentRecord | null> {
  return readConsistently(dataSource, async (manager) => {
    const deployment = await selectDeployments(manager).where('deployment.id = :id', { id }).getOne();
    return deployment ? ((await toRecords(manager, [deployment]))[0] ?? null) : null;
  });
}

/** Newest first. Throws CursorError. */
export function listDeployments(
  dataSource: DataSource,
  filter: DeploymentFilter,
  page: PageRequest,
): Promise<Page<DeploymentRecord>> {
  return readConsistently(dataSource, async (manager) => {
    const query = selectDeployments(manager)
      .orderBy('deployment.createdAt', 'DESC')
      .addOrderBy('deployment.id', 'DESC')
      .limit(page.limit + 1);
    applyFilter(query, filter);
    if (page.cursor !== null) {
      const [createdAt, id] = decodeCursor(page.cursor, [/^\d{1,15}$/, /^[0-9a-f-]{36}$/]);
      query.andWhere('(deployment.created_at, deployment.id) < (:createdAt, :id)', {
        createdAt: new Date(Number(createdAt)),
        id,
      });
    }
    const { items, nextCursor } = toPage(await query.getMany(), page, ({ createdAt, id }) => [createdAt, id]);
    return { items: await toRecords(manager, items), nextCursor };
  });
}

function applyFilter(query: SelectQueryBuilder<Deployment>, filter: DeploymentFilter): void {
  const { status, module, environment, from, to } = filter;
  if (status) query.andWhere('deployment.status = :status', { status });
  if (module) query.andWhere('deployment.module = :module', { module });
  if (environment) query.andWhere('deployment.targetEnvironment = :environment', { environment });
  if (from) query.andWhere('deployment.created_at >= :from', { from });
  if (to) query.andWhere('deployment.created_at < :to', { to });
}

async function toRecords(manager: EntityManager, deployments: Deployment[]): Promise<DeploymentRecord[]> {
  const ids = deployments.map(({ id }) => id);
  const stages = await loadStageRows(manager, ids);
  const live = await countLiveNodes(manager, ids);
  const exposures = await loadExposures(manager, ids);
  return deployments.map((deployment) => {
    const own = stages.filter(({ deploymentId }) => deploymentId === deployment.id);
    const counted = own.flatMap((stage) => {
      const counts = stage.nodes ?? live.get(stage.id);
      return counts ? [[stage.id, counts] as const] : [];
    });
    const exposure = exposures.get(deployment.id) ?? { seconds: 0, requests: 0, failures: 0 };
    return { deployment, stages: own.map(toStage), nodes: Object.fromEntries(counted), exposure };
  });
}

/** By stage id; of started Deploy stages that are not finished. */
async function countLiveNodes(manager: EntityManager, deploymentIds: string[]): Promise<Map<string, NodeCounts>> {
  const rows = await manager.query<{ id: string; counts: NodeCounts }[]>(
    `SELECT stage.id, (${countNodes}) AS counts
     FROM hotswap.deployment_stage AS stage
     WHERE stage.deployment_id = ANY($1) AND stage.name = 'Deploy' AND stage.started_at IS NOT NULL AND stage.nodes IS NULL`,
    [deploymentIds],
  );
  return new Map(rows.map(({ id, counts }) => [id, counts]));
}

/** By deployment id. */
async function loadExposures(
  manager: EntityManager,
  deploymentIds: string[],
): Promise<Map<string, DeploymentRecord['exposure']>> {
  const rows = await manager.query<(DeploymentRecord['exposure'] & { id: string })[]>(
    `SELECT deployment_id AS id, sum(seconds) AS seconds, sum(requests)::float8 AS requests, sum(failures)::float8 AS failures
     FROM hotswap.stage_exposure WHERE deployment_id = ANY($1) GROUP BY deployment_id`,
    [deploymentIds],
  );
  return new Map(rows.map(({ id, ...exposure }) => [id, exposure]));
}
