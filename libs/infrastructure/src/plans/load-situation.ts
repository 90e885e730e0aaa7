import { environmentsUpTo, findFreeze, type EnvironmentName, type Instant } from '@hotswap/domain';
import {
  canonicalDigest,
  type PlannedDeployment,
  type PlannedEnvironment,
  type Situation,
} from '@hotswap/orchestrator';
import type { EntityManager } from 'typeorm';
import { loadCluster } from '../clusters/load-cluster.js';
import { findUnfinished } from '../deployments/find-unfinished.js';
import { loadNewestRelease } from '../releases.js';
import { emptyRecord, loadEnvironmentRow } from '../rollouts/load-view.js';

type Loaded = PlannedEnvironment & { revisions: { policy: number; membership: number; record: number } };

/** What a plan of this deployment is made of, and the digest of all that it depends on. */
export async function loadSituation(
  manager: EntityManager,
  wanted: PlannedDeployment,
  { artifact, isWithdrawn }: { artifact: string; isWithdrawn: boolean },
  now: Instant,
): Promise<Situation> {
  const way = environmentsUpTo(wanted.targetEnvironment);
  const inProgress = await findUnfinished(manager, wanted.module, way);
  const bundles = await manager.query<{ digest: string }[]>(
    'SELECT digest FROM hotswap.signature_bundle WHERE artifact = $1 ORDER BY digest',
    [artifact],
  );
  const environments: Loaded[] = [];
  for (const environment of way) environments.push(await loadPlanned(manager, wanted, artifact, environment, now));
  const { module, version, targetEnvironment, requireApproval, onConflict, breakGlass } = wanted;
  const revision = canonicalDigest({
    asked: { module, version, targetEnvironment, requireApproval, onConflict, breaksGlass: Boolean(breakGlass) },
    version: { artifact, isWithdrawn, bundles: bundles.map(({ digest }) => digest) },
    inProgress,
    environments: environments.map(describeDependencies),
  });
  return { now, artifact, isWithdrawn, inProgress, environments, revision };
}

async function loadPlanned(
  manager: EntityManager,
  { module, version }: PlannedDeployment,
  artifact: string,
  environment: EnvironmentName,
  now: Instant,
): Promise<Loaded> {
  const row = await loadEnvironmentRow(manager, environment);
  const cluster = await loadCluster(manager, environment, now);
  const record =
    cluster.releases.find((each) => each.module === module && each.revision > 0) ?? emptyRecord(environment, module);
  return {
    cluster,
    policy: row.policy,
    record,
    target: await loadNewestRelease(manager, { module, version, artifact }, environment),
    revisions: { policy: row.policy_revision, membership: row.membership_revision, record: record.revision },
  };
}

/** What nodes report from second to second is none of it; which of them are there, is. */
function describeDependencies({ cluster, policy, record, target, revisions }: Loaded): object {
  return {
    environment: cluster.environment,
    ...revisions,
    runs: record.release?.digest ?? null,
    target: target.digest,
    live: cluster.live.map(({ id }) => id),
    frozen: findFreeze(policy.freeze ?? [], cluster.now)?.names ?? [],
  };
}
