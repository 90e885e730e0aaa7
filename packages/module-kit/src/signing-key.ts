import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

const keyIdPattern = /^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$/;

/** Names of keys are 1-100 letters, digits and `._@+-`, beginning with a letter or digit, so that they can name a file. */
export function isKeyId(id: string): boolean {
  return keyIdPattern.test(id);
}

/** A new Ed25519 key pair: PKCS #8 and SPKI, PEM. */
export function generateKeyPair(id: string): { id: string; privateKeyPem: string; publicKeyPem: string } {
  if (!isKeyId(id))
    throw new TypeError(`${JSON.stringify(id)} can't name a key: letters, digits and ._@+- only, 100 at most.`);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    id,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }),
  };
}

/**
 * Reads a PEM key that may sign modules.
 * @throws TypeError with a message that tells nothing of the key but its kind
 */
export function readPrivateKey(pem: string): KeyObject {
  return accepted('private key', () => createPrivateKey(pem));
}

/** As {@link readPrivateKey}, for the public half; a private key is refused, it has no place in a trust file. */
export function readPublicKey(pem: string): KeyObject {
  if (pem.includes('PRIVATE KEY')) throw new TypeError('is a private key; only its public half belongs here');
  // createPublicKey would also take a certificate, and overlook that it ends.
  return accepted('public key', () => createPublicKey(/BEGIN (RSA )?PUBLIC KEY/.test(pem) ? pem : ''));
}

function accepted(what: string, read: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch {
    throw new TypeError(`is not a ${what} in PEM form without a passphrase`);
  }
  const details = key.asymmetricKeyDetails;
  const isAccepted =
    key.asymmetricKeyType === 'ed25519' ||
    (key.asymmetricKeyType === 'ec' && details?.namedCurve === 'prime256v1') ||
    (key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048);
  if (!isAccepted) throw new TypeError('must be an Ed25519, ECDSA P-256 or RSA key of at least 2048 bits');
  return key;
}
