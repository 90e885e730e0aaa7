import { lostAfterMilliseconds, resolveBudget } from '@hotswap/domain';
import type { Counts, Findings } from '../findings.js';
import type { SimulatedNode } from '../node/simulated-node.js';
import { recordKey, type NodeRow, type Tables } from '../store/memory-database.js';

const rule = 'A rolling update moves on only so many nodes at once as its budget lets be away';

/** Counts what nodes truly serve when a batch is written. */
export class RollingChecker {
  /** When a node was last seen to serve a release, by `node release`; what it serves now is in `serving`. */
  private readonly servedAt = new Map<string, number>();
  private readonly serving = new Map<string, Set<string>>();
  /** `stage node` whose node had lost the stable release before its turn: moving it costs nothing. */
  private readonly unserved = new Set<string>();

  constructor(
    private readonly now: () => number,
    private readonly findings: Findings,
    private readonly counts: Counts,
  ) {}

  onCommit(before: Tables, after: Tables): void {
    if (before.nodes === after.nodes) return;
    for (const stage of after.stages.values()) {
      if (stage.strategy !== 'Rolling' || stage.status !== 'Running' || !stage.from || !stage.environment) continue;
      const isBatch = before.stages.get(stage.id)?.progress?.number !== stage.progress?.number;
      const deployment = after.deployments.get(stage.deploymentId);
      if (!isBatch || !stage.to || stage.to.digest === stage.from.digest || deployment?.promotion === 'full') continue;
      const record = after.records.get(recordKey(stage.environment, stage.module));
      if (record?.ownerStageId !== stage.id) continue;
      const wasPromoted = before.deployments.get(stage.deploymentId)?.promotion === 'full';
      // Who leaves has taken itself out of what is to be kept.
      const nodes = [...after.nodes.values()].filter(
        ({ environment, reportedState }) =>
          environment === stage.environment && (reportedState === 'Ready' || reportedState === 'Starting'),
      );
      const { policy } = after.environments.get(stage.environment) ?? {};
      if (!policy || wasPromoted) continue;
      const target = stage.to.digest;
      const stable = stage.from.digest;
      for (const { id } of nodes)
        if (isBrokenOn(before.nodes.get(id), stage.module, stable)) this.unserved.add(`${stage.id} ${id}`);
      const moving = nodes.filter(
        (node) =>
          node.assignments.get(stage.module)?.active?.digest === target &&
          // A node that is silent is gone without anybody's asking; in the end a rollout goes on without it.
          this.now() - node.lastHeartbeatAt < lostAfterMilliseconds &&
          !this.unserved.has(`${stage.id} ${node.id}`) &&
          !this.hasReached(node.id, target, stage.startedAt ?? 0),
      );
      const { unavailable, surge } = resolveBudget(policy.rolling, nodes.length);
      this.counts.add('rolling batches');
      if (moving.length > unavailable + surge)
        this.findings.add(
          rule,
          `${moving.map(({ hostname }) => hostname).join(', ')} of a budget of ${unavailable + surge}`,
        );
    }
  }

  onObserved(node: SimulatedNode): void {
    const serving = node.host.reports().flatMap(({ active }) => active ?? []);
    for (const release of [...serving, ...(this.serving.get(node.nodeId) ?? [])])
      this.servedAt.set(`${node.nodeId} ${release}`, this.now());
    this.serving.set(node.nodeId, new Set(serving));
  }

  private hasReached(nodeId: string, release: string, since: number): boolean {
    return (
      (this.serving.get(nodeId)?.has(release) ?? false) || (this.servedAt.get(`${nodeId} ${release}`) ?? 0) >= since
    );
  }
}

function isBrokenOn(node: NodeRow | undefined, module: string, release: string): boolean {
  const instances = node?.observations.get(module)?.instances ?? [];
  return instances.some((instance) => instance.release === release && instance.state === 'Failed');
}
