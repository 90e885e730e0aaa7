import type { Instant } from '../instant.js';

export type EvidenceKind = 'signature' | 'check';

/**
 * I/O that a decision needs before it can be made. Keyed by (stage, kind, subject digest): evidence matches only its own key.
 * `signature`: the artifact's signatures, checked against the orchestrator's trust file for every environment on the way. `check`: an answer from outside.
 */
export interface EvidenceRequest {
  stageId: string;
  kind: EvidenceKind;
  subject: string;
  /** What whoever gathers it has to know. */
  data?: Record<string, unknown>;
  deadlineSeconds: number;
}

export interface Evidence {
  stageId: string;
  kind: EvidenceKind;
  subject: string;
  /** `Unknown`: no data, or no answer; never as good as `Passed`. */
  status: 'Requested' | 'Passed' | 'Refused' | 'Unknown';
  message: string | null;
  data: Record<string, unknown>;
  requestedAt: Instant;
  deadlineAt: Instant;
}
