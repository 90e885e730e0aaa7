import { randomUUID } from 'node:crypto';
import { inDatabase } from '../support/database.js';
import { waitForEnd, type Deployment } from '../support/deployments.js';
import { changePolicy } from '../support/drill-cluster.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { moduleName } from '../support/published-module.js';
import { waitFor } from '../support/wait-for.js';
import { quick, standing, strategyPolicy, waitForMiddle, type StrategyName } from '../support/strategy-policy.js';

export const ways = ['forward', 'back when finished', 'back from the middle'] as const;
export type Way = (typeof ways)[number];

const environment = 'Development';
const endSeconds = 120;

/** One deployment of a version to Development, and back. Requests whose answer is lost are asked again, as a client does. */
export class Journey {
  private id = '';

  constructor(
    private readonly cluster: LocalCluster,
    private readonly strategy: StrategyName,
    readonly version: string,
  ) {}

  get deploymentId(): string {
    return this.id;
  }

  async goForward(): Promise<Deployment> {
    await changePolicy(this.cluster, environment, strategyPolicy(this.strategy, quick));
    await this.begin();
    return waitForEnd(this.cluster, this.id, undefined, endSeconds);
  }

  async goToTheMiddle(): Promise<Deployment> {
    await changePolicy(this.cluster, environment, strategyPolicy(this.strategy, standing));
    await this.begin();
    return waitForMiddle(this.cluster, this.id, environment, this.strategy);
  }

  async goBack(): Promise<Deployment> {
    // It may be carried out, and its orchestrator dead, before the answer is sent.
    const answer = await this.cluster.post(`/api/v1/deployments/${this.id}/rollback`).catch(() => null);
    if (answer && answer.status !== 202) throw new Error(`The rollback was answered ${answer.status}`);
    return waitForEnd(this.cluster, this.id, ['RolledBack', 'Failed'], endSeconds);
  }

  private async begin(): Promise<void> {
    const key = { 'idempotency-key': randomUUID() };
    const wanted = {
      moduleName,
      version: this.version,
      targetEnvironment: environment,
      requesterEmail: 'user@example.com',
    };
    this.id = await waitFor('the deployment to be accepted', async () => {
      const { status, body } = await this.cluster.post<Deployment>('/api/v1/deployments', wanted, key);
      if (status !== 202) throw new Error(`It was answered ${status}: ${JSON.stringify(body)}`);
      return body.id;
    });
  }
}

/** What the database tells of a deployment, but for its waits: how often one is looked at is a matter of time. */
export interface Story {
  decisions: string[];
  events: string[];
  /** Of the deployment, as each decision read it. */
  revisions: number[];
}

export async function loadStory(cluster: LocalCluster, deploymentId: string): Promise<Story> {
  const decisions = await inDatabase<{ decision: string; revision: number }>(cluster, [
    `SELECT concat_ws(' ', stage.name, decision.kind, because ->> 'code', changes -> 'stages' -> 0 -> 'progress' ->> 'number') AS decision,
       (revisions ->> 'deployment')::int AS revision
     FROM hotswap.decision LEFT JOIN hotswap.deployment_stage AS stage ON stage.id = stage_id
     WHERE decision.deployment_id = $1 AND decision.kind <> 'hold' ORDER BY decision.id`,
    [deploymentId],
  ]);
  const events = await inDatabase<{ event: string }>(cluster, [
    `SELECT concat_ws(' ', type, stage, environment, data ->> 'number') AS event
     FROM hotswap.deployment_event WHERE deployment_id = $1 AND type <> 'holding' ORDER BY id`,
    [deploymentId],
  ]);
  return {
    decisions: decisions.map(({ decision }) => decision),
    events: events.map(({ event }) => event),
    revisions: decisions.map(({ revision }) => revision),
  };
}

/** What is wrong with Development after a deployment that left it on `version`. */
export async function findFaults(cluster: LocalCluster, version: string): Promise<string[]> {
  const faults: string[] = [];
  const [record] = await inDatabase<{ version: string; owner: string | null }>(cluster, [
    `SELECT release.version, owner_stage_id AS owner FROM hotswap.environment_release AS record
     JOIN hotswap.release ON digest = record.release WHERE environment = $1 AND record.module = $2`,
    [environment, moduleName],
  ]);
  if (record?.version !== version) faults.push(`the environment's record says ${record?.version}`);
  if (record?.owner !== null) faults.push('a rollout still owns the record');
  const refusals = await inDatabase<{ refused: string }>(
    cluster,
    'SELECT refused FROM hotswap.node WHERE refused IS NOT NULL',
  );
  faults.push(...refusals.map(({ refused }) => `a node refused a document: ${refused}`));
  const confirmed = await waitFor(`Development to run ${version}`, async () => {
    const nodes = await cluster.nodes(environment);
    return nodes.every(({ state, modules }) => {
      const module = modules.find(({ name }) => name === moduleName);
      return state === 'Ready' && module?.activeVersion === version && module.candidateVersion === null;
    });
  }).catch((error: Error) => error.message);
  if (confirmed !== true) faults.push(String(confirmed));
  return faults;
}
