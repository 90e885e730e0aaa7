import {
  beatGapMilliseconds,
  listenedMilliseconds,
  lostAfterMilliseconds,
  type DeploymentView,
  type ListeningGap,
} from '@hotswap/domain';
import type { Findings } from '../findings.js';
import type { DecisionRow, Tables } from '../store/memory-database.js';

const rules = {
  lost: 'A node counts as lost only after 15 s of silence in which someone listened',
  deadline: 'A deadline ends only after its time in which someone listened and nobody had paused',
};

/** Knows when the control plane truly beat, whatever its rows say. */
export class ListeningChecker {
  private readonly gaps: ListeningGap[] = [];
  private lastBeatAt: number | null = null;

  constructor(private readonly findings: Findings) {}

  onBeat(now: number): void {
    if (this.lastBeatAt !== null && now - this.lastBeatAt > beatGapMilliseconds)
      this.gaps.push({ from: this.lastBeatAt, to: now });
    this.lastBeatAt = now;
  }

  onView({ environment, now }: DeploymentView): void {
    for (const node of environment?.cluster.lost ?? []) {
      const { hostname, lastHeartbeatAt } = node.facts;
      const silence = listenedMilliseconds(lastHeartbeatAt, now, this.gapsUntil(now));
      if (silence < lostAfterMilliseconds) this.findings.add(rules.lost, `${hostname}: ${silence} ms`);
    }
  }

  onDecision(tables: Tables, { because, stageId, deploymentId, at }: DecisionRow): void {
    const stage = tables.stages.get(stageId ?? '');
    const deployment = tables.deployments.get(deploymentId);
    if (because.code !== 'progress-deadline' || !stage?.environment || !stage.progress || !deployment) return;
    const seconds = tables.environments.get(stage.environment)?.policy.progressDeadlineSeconds ?? 0;
    const suspensions = [...this.gapsUntil(at), ...deployment.pauses];
    const waited = listenedMilliseconds(stage.progress.stepStartedAt, at, suspensions);
    if (waited < seconds * 1000) this.findings.add(rules.deadline, `${stage.module}: ${waited} ms of ${seconds} s`);
  }

  private gapsUntil(now: number): ListeningGap[] {
    const isOpen = this.lastBeatAt !== null && now - this.lastBeatAt > beatGapMilliseconds;
    return isOpen ? [...this.gaps, { from: this.lastBeatAt ?? now, to: now }] : this.gaps;
  }
}
