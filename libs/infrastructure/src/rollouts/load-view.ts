import {
  beatGapMilliseconds,
  currentStage,
  finalStatuses,
  type Deployment,
  type DeploymentView,
  type EnvironmentName,
  type EnvironmentRelease,
  type EnvironmentView,
  type Evidence,
  type Instant,
  type Policy,
  type Release,
  type Stage,
} from '@hotswap/domain';
import type { DataSource, EntityManager } from 'typeorm';
import { loadCluster, loadListening } from '../clusters/load-cluster.js';
import { readConsistently } from '../database/read-consistently.js';
import { loadStages } from '../deployments/load-stages.js';
import { selectDeployments } from '../deployments/select-deployments.js';
import { evidenceEntity } from '../entities/evidence.js';
import { loadNewestRelease } from '../releases.js';
import { loadAnalysis } from './load-analysis.js';
import { loadTargetLoad } from './load-target-load.js';
import { loadTraffic } from './load-traffic.js';

/** See the port. Writes nothing: a release that is not kept yet is kept by `commit`. */
export function loadView(dataSource: DataSource, deploymentId: string): Promise<DeploymentView | null> {
  return readConsistently(dataSource, async (manager, now) => {
    const deployment = await selectDeployments(manager)
      .where('deployment.id = :deploymentId', { deploymentId })
      .getOne();
    if (!deployment || finalStatuses.includes(deployment.status)) return null;
    const stages = await loadStages(manager, deploymentId);
    const { environment, revisions } = await loadStageEnvironment(manager, deployment, stages, now);
    return {
      deployment,
      stages,
      evidence: await loadEvidence(manager, stages, now),
      withdrawal: await loadWithdrawal(manager, deployment),
      environment,
      now,
      revisions,
    };
  });
}

async function loadWithdrawal(
  manager: EntityManager,
  { module, version }: Deployment,
): Promise<DeploymentView['withdrawal']> {
  const [row] = await manager.query<{ withdrawn_at: Date; withdrawal_reason: string | null }[]>(
    `SELECT withdrawn_at, withdrawal_reason FROM hotswap.module_version
     WHERE name = $1 AND version = $2 AND withdrawn_at IS NOT NULL`,
    [module, version],
  );
  return row ? { at: row.withdrawn_at.getTime(), reason: row.withdrawal_reason } : null;
}

async function loadStageEnvironment(
  manager: EntityManager,
  deployment: Deployment,
  stages: Stage[],
  now: Instant,
): Promise<Pick<DeploymentView, 'environment' | 'revisions'>> {
  const stage = currentStage(stages);
  if (!stage?.environment) return { environment: null, revisions: { policy: 0, membership: 0, record: 0 } };
  const { policy, policy_revision, membership_revision } = await loadEnvironmentRow(manager, stage.environment);
  const cluster = await loadCluster(manager, stage.environment, now);
  const record = cluster.releases.find(({ module, revision }) => module === deployment.module && revision > 0);
  const target = await loadTarget(manager, deployment, stages, stage.environment);
  const environment: EnvironmentView = {
    cluster,
    policy,
    record: record ?? emptyRecord(stage.environment, deployment.module),
    target,
    traffic: {
      ...(await loadTraffic(manager, stage.environment, target, stage)),
      targetLoad: await loadTargetLoad(manager, stage.environment, target, stage.progress, policy.guards),
    },
    analysis:
      stage.strategy === 'Canary'
        ? await loadAnalysis(manager, stage, stage.environment, deployment.module)
        : undefined,
  };
  return {
    environment,
    revisions: { policy: policy_revision, membership: membership_revision, record: environment.record.revision },
  };
}

/** What a Deploy stage of this environment has set out to bring, once it has started; before that the newest configuration's release. */
async function loadTarget(
  manager: EntityManager,
  deployment: Deployment,
  stages: Stage[],
  environment: EnvironmentName,
): Promise<Release> {
  const brought = stages.find((stage) => stage.name === 'Deploy' && stage.environment === environment)?.to;
  return brought ?? loadNewestRelease(manager, deployment, environment);
}

export function emptyRecord(environment: EnvironmentName, module: string): EnvironmentRelease {
  return { environment, module, release: null, previous: null, ownerStageId: null, revision: 0 };
}

export async function loadEnvironmentRow(manager: EntityManager, environment: EnvironmentName) {
  const [row] = await manager.query<[{ policy: Policy; policy_revision: number; membership_revision: number }]>(
    'SELECT policy, policy_revision, membership_revision FROM hotswap.environment WHERE name = $1',
    [environment],
  );
  return row;
}

/** No deadline ends before the first beat after a time without anyone listening: that beat gives the time back. */
async function loadEvidence(manager: EntityManager, stages: Stage[], now: Instant): Promise<Evidence[]> {
  const { beatAt } = await loadListening(manager);
  const isUnheard = now - beatAt > beatGapMilliseconds;
  const evidence = await manager
    .createQueryBuilder(evidenceEntity, 'evidence')
    .where('evidence.stageId = ANY(:stageIds)', { stageIds: stages.map(({ id }) => id) })
    .orderBy('evidence.requestedAt')
    .addOrderBy('evidence.kind')
    .addOrderBy('evidence.subject')
    .getMany();
  return isUnheard ? evidence.map((each) => ({ ...each, deadlineAt: Math.max(each.deadlineAt, now) })) : evidence;
}
