import {
  beatGapMilliseconds,
  currentStage,
  finalStatuses,
  type Deployment,
  type DeploymentView,
  type EnvironmentName,
  type EnvironmentRelease,
  type Evidence,
  type PipelineDecision,
  type Release,
  type Stage,
} from '@hotswap/domain';
import { describeRelease, RolloutStore } from '@hotswap/orchestrator';
import { commitDecision } from './commit-decision.js';
import { stagesOf, toDeployment, toStage } from './deployment-rows.js';
import { loadCluster } from './load-cluster.js';
import { recordKey, type MemoryDatabase, type Tables } from './memory-database.js';
import { loadAnalysis, sumTraffic } from './traffic.js';

export class MemoryRolloutStore extends RolloutStore {
  constructor(private readonly database: MemoryDatabase) {
    super();
  }

  async claimDue(limit: number, leaseSeconds: number): Promise<string[]> {
    const { now } = this;
    const due = [...this.database.tables.deployments.values()]
      .filter(({ nextLookAt, claimedUntil }) => nextLookAt !== null && nextLookAt <= now && !isAfter(claimedUntil, now))
      .sort((a, b) => (a.nextLookAt ?? 0) - (b.nextLookAt ?? 0))
      .slice(0, limit);
    if (due.length === 0) return [];
    this.database.transaction((writer) => {
      for (const row of due) writer.set('deployments', row.id, { ...row, claimedUntil: now + leaseSeconds * 1000 });
    });
    return due.map(({ id }) => id);
  }

  async loadView(deploymentId: string): Promise<DeploymentView | null> {
    const { tables } = this.database;
    const row = tables.deployments.get(deploymentId);
    if (!row || finalStatuses.includes(row.status)) return null;
    const stages = stagesOf(tables, deploymentId).map(toStage);
    const deployment = toDeployment(tables, row);
    return {
      deployment,
      stages,
      evidence: this.evidenceOf(stages),
      withdrawal: null,
      now: this.now,
      ...this.environmentOf(deployment, stages),
    };
  }

  async commit(view: DeploymentView, decision: PipelineDecision): Promise<'committed' | 'superseded'> {
    return commitDecision(this.database, view, decision);
  }

  private get now(): number {
    return this.database.now();
  }

  private environmentOf(deployment: Deployment, stages: Stage[]): Pick<DeploymentView, 'environment' | 'revisions'> {
    const { database, now } = this;
    const { tables } = database;
    const stage = currentStage(stages);
    if (!stage?.environment) return { environment: null, revisions: { policy: 0, membership: 0, record: 0 } };
    const row = tables.environments.get(stage.environment);
    if (!row) throw new Error(stage.environment);
    const record =
      tables.records.get(recordKey(stage.environment, deployment.module)) ??
      emptyRecord(stage.environment, deployment.module);
    const target = targetOf(tables, deployment, stages, stage.environment);
    return {
      environment: {
        cluster: loadCluster(tables, stage.environment, now),
        policy: row.policy,
        record,
        target,
        traffic: { ...sumTraffic(database, stage.environment, target, stage), targetLoad: undefined },
        analysis:
          stage.strategy === 'Canary' ? loadAnalysis(database, stage, stage.environment, deployment.module) : undefined,
      },
      revisions: { policy: row.policyRevision, membership: row.membershipRevision, record: record.revision },
    };
  }

  /** No deadline ends before the first beat after a time without anyone listening: that beat gives the time back. */
  private evidenceOf(stages: readonly Stage[]): Evidence[] {
    const { now } = this;
    const { tables } = this.database;
    const isUnheard = now - (tables.beatAt ?? 0) > beatGapMilliseconds;
    const ids = new Set(stages.map(({ id }) => id));
    return [...tables.evidence.values()]
      .filter(({ stageId }) => ids.has(stageId))
      .sort((a, b) => a.requestedAt - b.requestedAt || (`${a.kind} ${a.subject}` < `${b.kind} ${b.subject}` ? -1 : 1))
      .map(({ claimedUntil: _, ...each }) =>
        isUnheard ? { ...each, deadlineAt: Math.max(each.deadlineAt, now) } : each,
      );
  }
}

/** What a Deploy stage of this environment has set out to bring, once it has started; before that the newest configuration's release. */
function targetOf(
  { configurations }: Tables,
  { module, version, artifact }: Deployment,
  stages: readonly Stage[],
  environment: EnvironmentName,
): Release {
  const brought = stages.find((stage) => stage.name === 'Deploy' && stage.environment === environment)?.to;
  if (brought) return brought;
  const newest = configurations.get(recordKey(environment, module));
  const configuration = newest?.values ?? {};
  return describeRelease({ module, version, artifact, configurationRevision: newest?.revision ?? 0, configuration });
}

function emptyRecord(environment: EnvironmentName, module: string): EnvironmentRelease {
  return { environment, module, release: null, previous: null, ownerStageId: null, revision: 0 };
}

function isAfter(instant: number | null, now: number): boolean {
  return instant !== null && instant >= now;
}
