import type { DeploymentView, PipelineDecision } from '@hotswap/domain';

/**
 * How long a claim, and the look that it was taken for, is good. A look takes milliseconds: this is how long the end of an orchestrator in the middle of one may
 * hold a deployment up.
 */
export const leaseSeconds = 4;

/** What the reconcile loop reads and writes. The implementation's database is the only clock. */
export abstract class RolloutStore {
  /**
   * Claims up to `limit` unfinished deployments that are due (`FOR UPDATE SKIP LOCKED`, lease `leaseSeconds`) and answers their ids. A
   * claim only saves work: two replicas with the same one are harmless, because `commit` checks revisions.
   */
  abstract claimDue(limit: number, leaseSeconds: number): Promise<string[]>;

  /** One consistent (repeatable-read) look at the deployment and at the environment of its stage in hand; null: gone or finished. */
  abstract loadView(deploymentId: string): Promise<DeploymentView | null>;

  /**
   * Writes a decision in one transaction: checks every revision in `view` (deployment, policy, membership, record), then writes
   * stages, record, assignments and node documents, evidence requests, the decision, events and when to look again; NOTIFY at its end.
   * `superseded`: something moved in between, and nothing was written. So is a decision on a look older than a claim lasts: a database that was restored
   * since then may have come to the same revisions by another way.
   */
  abstract commit(view: DeploymentView, decision: PipelineDecision): Promise<'committed' | 'superseded'>;
}
