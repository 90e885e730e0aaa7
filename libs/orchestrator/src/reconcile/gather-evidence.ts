import type { ExternalCheck } from '@hotswap/domain';
import { Inject, Injectable } from '@nestjs/common';
import { checkSignatures } from '../check-signatures.js';
import { runCheck } from '../checks/run-check.js';
import { EvidenceStore, type ClaimedEvidence } from '../ports/evidence-store.js';
import { ModuleCatalog } from '../ports/module-catalog.js';
import { ArtifactVerifier } from '../artifact-verifier.js';

/** Injection token of the hosts (`name` or `name:port`) that checks may ask although their addresses are private. */
export const checkHosts = Symbol('checkHosts');

const claimLimit = 4;
/** Far above what a check of signatures takes, far below its deadline. */
const leaseSeconds = 5;

/** Does the I/O that decisions asked for, claimed apart from their deployments, and stores what it found. */
@Injectable()
export class EvidenceGatherer {
  constructor(
    private readonly evidence: EvidenceStore,
    private readonly catalog: ModuleCatalog,
    private readonly verifier: ArtifactVerifier,
    @Inject(checkHosts) private readonly allowedHosts: readonly string[] = [],
  ) {}

  /** Answers how many requests it answered. */
  async gather(): Promise<number> {
    const claimed = await this.evidence.claimRequested(claimLimit, leaseSeconds);
    await Promise.all(claimed.map(async (request) => this.evidence.answer(request, await this.find(request))));
    return claimed.length;
  }

  private find(request: ClaimedEvidence) {
    if (request.kind === 'signature') return this.verify(request);
    const { check, about } = request.data as { check: ExternalCheck; about: object };
    return runCheck(check, about, this.allowedHosts);
  }

  private async verify({ subject, module, version, environments }: ClaimedEvidence) {
    const artifact = { name: module, version, digest: subject };
    const verdict = await checkSignatures(this.catalog, this.verifier, artifact, environments);
    if (!verdict.trusted) return { status: 'Refused' as const, message: verdict.because, data: {} };
    const data = { signers: verdict.signers };
    return { status: 'Passed' as const, message: `Signed by ${verdict.signers.join(', ')}`, data };
  }
}
