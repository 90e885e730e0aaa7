import type { EnvironmentName, Evidence } from '@hotswap/domain';

export interface ClaimedEvidence extends Evidence {
  module: string;
  version: string;
  /** The environments on the deployment's way. */
  environments: EnvironmentName[];
}

/** Requests for evidence that the pipeline committed, claimed apart from their deployments. */
export abstract class EvidenceStore {
  abstract claimRequested(limit: number, leaseSeconds: number): Promise<ClaimedEvidence[]>;
  /** Stores the answer under its own key and makes the deployment due. */
  abstract answer(
    evidence: Pick<Evidence, 'stageId' | 'kind' | 'subject'>,
    answer: { status: 'Passed' | 'Refused' | 'Unknown'; message: string; data: Record<string, unknown> },
  ): Promise<void>;
}
