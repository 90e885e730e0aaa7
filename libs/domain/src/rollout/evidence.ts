import type { Instant } from '../instant.js';

/**
 * I/O that a decision needs before it can be made. Keyed by (stage, kind, subject digest): evidence matches only its own key.
 * `signature`: the artifact's signatures, checked against the orchestrator's trust file for every environment on the way.
 */
export interface EvidenceRequest {
  stageId: string;
  kind: 'signature';
  subject: string;
  deadlineSeconds: number;
}

export interface Evidence {
  stageId: string;
  kind: 'signature';
  subject: string;
  status: 'Requested' | 'Passed' | 'Refused';
  message: string | null;
  data: Record<string, unknown>;
  requestedAt: Instant;
  deadlineAt: Instant;
}
