import { Inject, Injectable } from '@nestjs/common';
import type { EnvironmentName } from '@hotswap/domain';
import { digestOf, isTrustedFor, SignatureError, verifySignatures, type Trust } from '@hotswap/module-kit';

/** Injection token of the orchestrator's own trust file, parsed. */
export const orchestratorTrust = Symbol('orchestratorTrust');

export type Verdict = { trusted: true; signers: string[] } | { trusted: false; because: string };

/** Checks an artifact against the orchestrator's trust file. Nodes check again, with their own. */
@Injectable()
export class ArtifactVerifier {
  constructor(@Inject(orchestratorTrust) private readonly trust: Trust) {}

  /** The ids of the trusted keys that signed; throws SignatureError. */
  signers(subject: { name: string; version: string; digest: string }, bundles: unknown[]): string[] {
    return verifySignatures(subject, bundles, this.trust, new Date());
  }

  /** Bytes, signatures, and the rules of every environment on the way. */
  verify(
    artifact: { name: string; version: string; digest: string; bytes: Buffer },
    bundles: unknown[],
    onTheWay: readonly EnvironmentName[],
  ): Verdict {
    const { name, digest, bytes } = artifact;
    const actual = digestOf(bytes);
    if (actual !== digest)
      return { trusted: false, because: `The stored bytes of ${digest} have the digest ${actual}` };
    try {
      const signers = this.signers(artifact, bundles);
      for (const environment of onTheWay) {
        const verdict = isTrustedFor(this.trust, name, environment, signers);
        if (!verdict.trusted) return { trusted: false, because: `${environment}: ${verdict.because}` };
      }
      return { trusted: true, signers };
    } catch (error) {
      if (error instanceof SignatureError) return { trusted: false, because: error.message };
      throw error;
    }
  }
}
