import { bundleToJSON, toDSSEBundle, type SerializedBundle } from '@sigstore/bundle';
import { dsse } from '@sigstore/core';
import { sign } from 'node:crypto';
import { readPrivateKey } from './signing-key.js';

/** A Sigstore bundle v0.3 as JSON. */
export type SigstoreBundle = SerializedBundle;

/** What a signature is about. */
export interface SignatureSubject {
  name: string;
  version: string;
  /** `sha256:…` of the packed bytes. */
  digest: string;
}

export const statementType = 'https://in-toto.io/Statement/v1';
export const statementMediaType = 'application/vnd.in-toto+json';

/**
 * Signs an artifact: a DSSE envelope over an in-toto statement with the release predicate. `keyId` becomes the bundle's
 * public-key hint, by which a trust file finds the key.
 * @throws TypeError where the key is not an Ed25519, ECDSA P-256 or RSA (>= 2048 bits) private key
 */
export function signArtifact(subject: SignatureSubject, privateKeyPem: string, keyId: string): SigstoreBundle {
  const key = readPrivateKey(privateKeyPem);
  const { name, version, digest } = subject;
  const statement = {
    _type: statementType,
    subject: [{ name: `${name}@${version}`, digest: { sha256: digest.replace(/^sha256:/, '') } }],
    predicateType: 'https://in-toto.io/attestation/release/v0.1',
    predicate: { purl: `pkg:generic/${name}@${encodeURIComponent(version)}` },
  };
  const payload = Buffer.from(JSON.stringify(statement));
  const signature = sign(
    key.asymmetricKeyType === 'ed25519' ? null : 'sha256',
    dsse.preAuthEncoding(statementMediaType, payload),
    key,
  );
  const bundle = toDSSEBundle({ artifact: payload, artifactType: statementMediaType, signature, keyHint: keyId });
  return bundleToJSON(bundle);
}
