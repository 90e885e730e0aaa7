import {
  BUNDLE_V03_MEDIA_TYPE,
  bundleFromJSON,
  isBundleWithDsseEnvelope,
  isBundleWithPublicKey,
  type Bundle,
  type BundleWithDsseEnvelope,
  type BundleWithPublicKey,
} from '@sigstore/bundle';
import { toSignedEntity, Verifier, type TrustMaterial } from '@sigstore/verify';
import { statementMediaType, statementType, type SignatureSubject } from './sign-artifact.js';
import type { Trust, TrustedKey } from './trust.js';

export type SignatureErrorCode = 'signature-missing' | 'signature-invalid' | 'untrusted-signer';

/** Why no signature counts. `code` is the API's. */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
  constructor(
    readonly code: SignatureErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** Of the bundles of one artifact: sent, kept and verified. */
export const signatureLimits = { bundleCount: 10, bundleKiB: 256 } as const;

/**
 * Checks Sigstore bundles against the keys of a trust file, offline: certificates, transparency logs and timestamps are not
 * consulted, the predicate is not read. Who signed is then up to `isTrustedFor`.
 *
 * Any bundle that is malformed, is about something else, or has a wrong signature of a known key is an error, whatever the
 * others say. Bundles of keys that `trust` does not know, or past their notAfter, do not count; only when no other is left
 * are they an error: signers may differ in who knows them.
 *
 * @returns the ids of the keys with a valid signature, sorted, each once
 * @throws SignatureError `signature-missing` (no bundle), `signature-invalid`, `untrusted-signer` (none by a key that counts)
 */
export function verifySignatures(
  subject: SignatureSubject,
  bundles: readonly unknown[],
  trust: Trust,
  at: Date,
): string[] {
  return [...countedBundles(subject, bundles, trust, at).keys()].sort();
}

/** Key id -> the first bundle that counts for it. Otherwise as `verifySignatures`, whose errors it throws. */
export function countedBundles(
  subject: SignatureSubject,
  bundles: readonly unknown[],
  trust: Trust,
  at: Date,
): Map<string, unknown> {
  const what = `${subject.name}@${subject.version}`;
  if (bundles.length === 0) throw new SignatureError('signature-missing', `${what} has no signature.`);
  if (bundles.length > signatureLimits.bundleCount) {
    throw invalid(`${what} has ${bundles.length} bundles; at most ${signatureLimits.bundleCount} are allowed`);
  }
  const counted = new Map<string, unknown>();
  const uncounted: string[] = [];
  for (const [index, json] of bundles.entries()) {
    const which = `bundle ${index + 1} of ${bundles.length} for ${what}`;
    const bundle = readBundle(json, which);
    const { hint } = bundle.verificationMaterial.content.publicKey;
    const key = trust.keys.get(hint);
    if (key === undefined) {
      uncounted.push(`key ${JSON.stringify(hint.slice(0, 100))} is not in the trust file`);
    } else if (key.notAfter !== null && at > key.notAfter) {
      uncounted.push(`key "${key.id}" was trusted until ${key.notAfter.toISOString()}`);
    } else {
      verifySignature(bundle, key, which);
      assertAbout(bundle, subject, which);
      if (!counted.has(key.id)) counted.set(key.id, json);
    }
  }
  if (counted.size === 0) {
    throw new SignatureError(
      'untrusted-signer',
      `${what} is signed by nobody who is trusted: ${uncounted.join('; ')}.`,
    );
  }
  return counted;
}

type KeyBundle = Bundle & BundleWithDsseEnvelope & BundleWithPublicKey;

function readBundle(json: unknown, which: string): KeyBundle {
  let bundle: Bundle;
  try {
    if (Buffer.byteLength(JSON.stringify(json)) > signatureLimits.bundleKiB * 1024) {
      throw new Error(`it has more than ${signatureLimits.bundleKiB} KiB`);
    }
    bundle = bundleFromJSON(json);
  } catch (error) {
    throw invalid(`${which} is not a Sigstore bundle: ${(error as Error).message}`);
  }
  if (bundle.mediaType !== BUNDLE_V03_MEDIA_TYPE) throw invalid(`${which} is not of the type ${BUNDLE_V03_MEDIA_TYPE}`);
  if (!isBundleWithDsseEnvelope(bundle)) throw invalid(`${which} has no DSSE envelope`);
  if (!isBundleWithPublicKey(bundle)) throw invalid(`${which} does not name its key by a public-key hint`);
  return bundle;
}

function verifySignature(bundle: KeyBundle, key: TrustedKey, which: string): void {
  const material: TrustMaterial = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    publicKey: () => ({ publicKey: key.publicKey, validFor: () => true }),
  };
  const verifier = new Verifier(material, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 });
  try {
    verifier.verify({ ...toSignedEntity(bundle), tlogEntries: [], timestamps: [] });
  } catch (error) {
    throw invalid(`${which} has no valid signature of key "${key.id}": ${(error as Error).message}`);
  }
}

/** Read only after the signature was verified. */
function assertAbout(bundle: KeyBundle, subject: SignatureSubject, which: string): void {
  const { payload, payloadType } = bundle.content.dsseEnvelope;
  if (payloadType !== statementMediaType) throw invalid(`${which} signs ${payloadType}, not ${statementMediaType}`);
  let statement: unknown;
  try {
    statement = JSON.parse(payload.toString('utf8'));
  } catch {
    throw invalid(`${which} signs something that is not JSON`);
  }
  const { _type: type, subject: subjects } = (statement ?? {}) as { _type?: unknown; subject?: unknown };
  if (type !== statementType) throw invalid(`${which} signs no in-toto Statement v1`);
  const wantedName = `${subject.name}@${subject.version}`;
  const isAbout = (candidate: { name?: unknown; digest?: { sha256?: unknown } } | null) =>
    candidate?.name === wantedName && `sha256:${String(candidate.digest?.sha256)}` === subject.digest;
  if (!Array.isArray(subjects) || !subjects.some(isAbout)) {
    throw invalid(`${which} is about something else: it does not name ${wantedName} with ${subject.digest}`);
  }
}

function invalid(message: string): SignatureError {
  return new SignatureError('signature-invalid', `${message}.`);
}
