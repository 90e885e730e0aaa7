import { Inject, Injectable } from '@nestjs/common';
import { environments, type EnvironmentName } from '@hotswap/domain';
import {
  countedBundles,
  digestOf,
  isTrustedFor,
  SignatureError,
  verifySignatures,
  type Trust,
} from '@hotswap/module-kit';

/** Injection token of the orchestrator's own trust file, parsed. */
export const orchestratorTrust = Symbol('orchestratorTrust');

interface Subject {
  name: string;
  version: string;
  digest: string;
}

export type Verdict = { trusted: true; signers: string[] } | { trusted: false; because: string };

/** Checks an artifact against the orchestrator's trust file. Nodes check again, with their own. */
@Injectable()
export class ArtifactVerifier {
  constructor(@Inject(orchestratorTrust) private readonly trust: Trust) {}

  /**
   * The new bundles that count, by the id of their key. Together with those kept already they have to satisfy a rule of at least one environment:
   * signatures may come one after the other. Throws SignatureError.
   */
  admit(subject: Subject, bundles: unknown[], kept: unknown[]): Map<string, unknown> {
    const now = new Date();
    const counted = countedBundles(subject, bundles, this.trust, now);
    const signers = [...new Set([...counted.keys(), ...this.signersOf(subject, kept, now)])].sort();
    const refusals = environments.map((environment) => isTrustedFor(this.trust, subject.name, environment, signers));
    if (refusals.some(({ trusted }) => trusted)) return counted;
    const because = refusals.flatMap((verdict) => (verdict.trusted ? [] : verdict.because));
    const message = `${subject.name}@${subject.version} is signed by ${signers.join(', ')}, but trusted in no environment: ${because.join('; ')}`;
    throw new SignatureError('untrusted-signer', message);
  }

  /** Bytes, signatures, and the rules of every environment on the way. */
  verify(artifact: Subject & { bytes: Buffer }, bundles: unknown[], onTheWay: readonly EnvironmentName[]): Verdict {
    const { name, digest, bytes } = artifact;
    const actual = digestOf(bytes);
    if (actual !== digest)
      return { trusted: false, because: `The stored bytes of ${digest} have the digest ${actual}` };
    try {
      const signers = verifySignatures(artifact, bundles, this.trust, new Date());
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

  /** None where the bundles don't hold any more: keys may have been replaced since they were kept. */
  private signersOf(subject: Subject, kept: unknown[], at: Date): string[] {
    try {
      return verifySignatures(subject, kept, this.trust, at);
    } catch (error) {
      if (error instanceof SignatureError) return [];
      throw error;
    }
  }
}
