import { environments, finalStatuses, type EnvironmentName } from '@hotswap/domain';
import type { Counts } from '../findings.js';
import type { Log } from '../log.js';
import type { Random } from '../runtime/random.js';
import type { Scheduler } from '../runtime/scheduler.js';
import { SimulatedProcess } from '../runtime/simulated-process.js';
import { drawPolicy, type Scenario } from '../scenario.js';
import type { DeploymentRow, MemoryDatabase } from '../store/memory-database.js';
import type { MemoryClusterStore } from '../store/memory-cluster-store.js';
import type { MemoryDeploymentStore } from '../store/memory-deployment-store.js';

/** People who deploy, and who change their minds: each word is one transaction, whatever the control plane is doing. */
export class Operators {
  private readonly process = new SimulatedProcess('operators');
  private keyCount = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly random: Random,
    private readonly scenario: Scenario,
    private readonly database: MemoryDatabase,
    private readonly deployments: MemoryDeploymentStore,
    private readonly clusters: MemoryClusterStore,
    private readonly isDatabaseAway: () => boolean,
    private readonly log: Log,
    private readonly counts: Counts,
  ) {}

  start(untilMilliseconds: number): void {
    const next = () => {
      if (this.scheduler.now > untilMilliseconds) return;
      if (!this.isDatabaseAway()) void this.act();
      this.scheduler.schedule(this.process, this.random.between(500, 10_000), next);
    };
    this.scheduler.schedule(this.process, this.random.between(1000, 5000), next);
  }

  /** What is left waiting for a person mostly gets its answer. */
  async settle(): Promise<void> {
    for (const { id, pausedAt, status } of this.unfinished()) {
      if (pausedAt !== null && this.random.chance(0.8)) await this.say(id, 'resume');
      if (status === 'AwaitingApproval' && this.random.chance(0.8)) await this.say(id, 'approve');
    }
  }

  private async act(): Promise<void> {
    const unfinished = this.unfinished();
    const one = this.random.pick(unfinished);
    if (!one || this.random.chance(0.25)) return this.deploy();
    const word = this.random.pick([
      'cancel',
      'pause',
      'resume',
      'promote',
      'promote fully',
      'roll back',
      'roll back all',
      'approve',
      'approve',
      'reject',
      'change policy',
      'nothing',
      'nothing',
      'nothing',
    ] as const);
    const last = [...this.database.tables.deployments.values()].at(-1);
    const isLookingBack = word.startsWith('roll back') && last && this.random.chance(0.5);
    await this.say((isLookingBack ? last : one).id, word);
  }

  private async deploy(): Promise<void> {
    const { random, scenario } = this;
    const { module, version } = random.pick(scenario.versions) ?? { module: '', version: '' };
    const targetEnvironment = random.pick(scenario.environments)?.name ?? environments[0];
    const outcome = await this.deployments.create({
      module,
      version,
      targetEnvironment,
      requesterEmail: 'developer@example.com',
      description: null,
      metadata: {},
      requireApproval: random.chance(0.2),
      onConflict: random.chance(0.4) ? 'supersede' : 'reject',
      traceparent: null,
      idempotency: random.chance(0.2)
        ? { key: `key ${this.keyCount++ % 3}`, bodyDigest: `${module}@${version}` }
        : null,
    });
    this.counts.add(`deploy ${outcome.kind}`);
    this.log.write('operators', `deploy ${module}@${version} to ${targetEnvironment}: ${JSON.stringify(outcome)}`);
  }

  private async say(id: string, word: string): Promise<void> {
    const reason = null;
    const outcome = await this.tell(id, word, reason);
    if (outcome === null) return;
    const told = typeof outcome === 'string' ? outcome : outcome.kind;
    this.counts.add(`${word} ${told}`);
    this.log.write('operators', `${word} ${id.slice(-4)}: ${told}`);
  }

  private async tell(id: string, word: string, reason: string | null): Promise<string | { kind: string } | null> {
    const { deployments, random } = this;
    switch (word) {
      case 'cancel':
        return deployments.request(id, { kind: 'cancel', reason });
      case 'roll back':
        return deployments.request(id, { kind: 'roll-back', scope: 'environment', reason });
      case 'roll back all':
        return deployments.request(id, { kind: 'roll-back', scope: 'all', reason });
      case 'pause':
      case 'resume':
        return deployments.control(id, { kind: word, reason });
      case 'promote':
      case 'promote fully':
        return deployments.control(id, { kind: 'promote', full: word === 'promote fully', reason });
      case 'approve':
      case 'reject':
        return deployments.decideApproval(id, { approved: word === 'approve', by: 'lead@example.com', reason });
      case 'change policy':
        return this.changePolicy(random.pick(this.scenario.environments)?.name ?? environments[0]);
      default:
        return null;
    }
  }

  private async changePolicy(environment: EnvironmentName): Promise<string> {
    const { revision } = await this.clusters.policy(environment);
    const written = await this.clusters.replacePolicy(environment, drawPolicy(this.random, environment), revision);
    return written ? 'written' : 'moved';
  }

  private unfinished(): DeploymentRow[] {
    return [...this.database.tables.deployments.values()].filter(({ status }) => !finalStatuses.includes(status));
  }
}
