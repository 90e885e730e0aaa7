import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  countedBundles,
  digestOf,
  generateKeyPair,
  parseTrust,
  SignatureError,
  signArtifact,
  signatureLimits,
  verifySignatures,
  type SigstoreBundle,
} from '../src/index.js';

interface Key {
  id: string;
  privateKeyPem: string;
  publicKeyPem: string;
}

const subject = { name: 'greeter', version: '1.2.3', digest: digestOf(Buffer.from('bytes')) };
const at = new Date('2027-01-01T00:00:00Z');

const pem = (id: string, { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Key => ({
  id,
  privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
});
const keys = {
  Ed25519: generateKeyPair('ed25519'),
  'ECDSA P-256': pem('p256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  'RSA 2048': pem('rsa', generateKeyPairSync('rsa', { modulusLength: 2048 })),
};
const stranger = generateKeyPair('stranger');
const own = keys.Ed25519;

const trustIn = (list: readonly Key[], notAfter?: string) =>
  parseTrust({
    trust: 1,
    keys: list.map(({ id, publicKeyPem }) => ({ id, publicKey: publicKeyPem, notAfter })),
    rules: [],
  });
const trust = trustIn(Object.values(keys));

function codeOf(bundles: unknown[], about = subject, trusted = trust): string {
  try {
    return verifySignatures(about, bundles, trusted, at).join();
  } catch (error) {
    if (error instanceof SignatureError) return error.code;
    throw error;
  }
}

describe.each(Object.entries(keys))('a signature by %s', (_, { id, privateKeyPem }) => {
  let bundle: SigstoreBundle;
  beforeAll(() => {
    bundle = signArtifact(subject, privateKeyPem, id);
  });

  it('is verified, also after a way through JSON', () => {
    expect(verifySignatures(subject, [JSON.parse(JSON.stringify(bundle))], trust, at)).toEqual([id]);
  });

  it('is refused for any other subject', () => {
    expect(codeOf([bundle], { ...subject, name: 'other' })).toBe('signature-invalid');
    expect(codeOf([bundle], { ...subject, version: '1.2.4' })).toBe('signature-invalid');
    expect(codeOf([bundle], { ...subject, digest: digestOf(Buffer.from('byteS')) })).toBe('signature-invalid');
  });

  it.each(['payload', 'signature'] as const)('is refused with any bit of the %s changed', (part) => {
    const envelope = bundle.dsseEnvelope!;
    const bytes = Buffer.from(part === 'payload' ? envelope.payload : envelope.signatures[0]!.sig, 'base64');
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (index, bit) => {
        const changed = Buffer.from(bytes);
        changed[index]! ^= 1 << bit;
        const text = changed.toString('base64');
        const dsseEnvelope =
          part === 'payload' ? { ...envelope, payload: text } : { ...envelope, signatures: [{ keyid: '', sig: text }] };
        expect(codeOf([{ ...bundle, dsseEnvelope }])).toBe('signature-invalid');
      }),
    );
  });
});

describe('signArtifact', () => {
  it('makes a Sigstore bundle v0.3 over an in-toto statement', () => {
    const bundle = signArtifact(subject, own.privateKeyPem, own.id);
    expect(bundle).toMatchObject({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: own.id } },
      dsseEnvelope: { payloadType: 'application/vnd.in-toto+json' },
    });
    expect(JSON.parse(Buffer.from(bundle.dsseEnvelope!.payload, 'base64').toString())).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'greeter@1.2.3', digest: { sha256: subject.digest.slice('sha256:'.length) } }],
      predicateType: 'https://in-toto.io/attestation/release/v0.1',
      predicate: { purl: 'pkg:generic/greeter@1.2.3' },
    });
  });

  it('refuses keys of other kinds, and tells nothing of what it was given', () => {
    const p384 = pem('p384', generateKeyPairSync('ec', { namedCurve: 'P-384' }));
    const short = pem('short', generateKeyPairSync('rsa', { modulusLength: 1024 }));
    for (const { privateKeyPem } of [p384, short]) {
      expect(() => signArtifact(subject, privateKeyPem, 'x')).toThrow('must be an Ed25519, ECDSA P-256 or RSA key');
    }
    expect(() => signArtifact(subject, 'top secret', 'x')).toThrow(/^is not a private key in PEM form/);
  });

  it('generates Ed25519 pairs that belong together', () => {
    expect(createPrivateKey(own.privateKeyPem).asymmetricKeyType).toBe('ed25519');
    expect(createPublicKey(own.privateKeyPem).equals(createPublicKey(own.publicKeyPem))).toBe(true);
    expect(generateKeyPair('a').privateKeyPem).not.toBe(generateKeyPair('a').privateKeyPem);
    expect(() => generateKeyPair('../x')).toThrow(TypeError);
  });
});

describe('verifySignatures', () => {
  const bundle = signArtifact(subject, own.privateKeyPem, own.id);
  const strange = signArtifact(subject, stranger.privateKeyPem, stranger.id);

  it('wants a bundle', () => {
    expect(codeOf([])).toBe('signature-missing');
  });

  it('does not count keys that it does not know, whatever their bundle says', () => {
    expect(codeOf([strange])).toBe('untrusted-signer');
    expect(codeOf([strange, bundle])).toBe(own.id);
  });

  it('refuses a stranger who names a known key', () => {
    expect(codeOf([signArtifact(subject, stranger.privateKeyPem, own.id)])).toBe('signature-invalid');
  });

  it('counts a key up to its notAfter, to the millisecond', () => {
    expect(codeOf([bundle], subject, trustIn([own], '2027-01-01T00:00:00Z'))).toBe(own.id);
    expect(codeOf([bundle], subject, trustIn([own], '2026-12-31T23:59:59.999Z'))).toBe('untrusted-signer');
  });

  it('answers each signer once, sorted', () => {
    const { 'ECDSA P-256': p256, 'RSA 2048': rsa } = keys;
    const bundles = [rsa, own, p256, rsa].map(({ id, privateKeyPem }) => signArtifact(subject, privateKeyPem, id));
    expect(verifySignatures(subject, bundles, trust, at)).toEqual(['ed25519', 'p256', 'rsa']);
  });

  it('leaves nothing behind in a process that reads keys of several kinds', () => {
    trustIn(Object.values(keys));
    expect(codeOf([signArtifact(subject, own.privateKeyPem, own.id)])).toBe(own.id);
  });

  it('lets no wrong bundle hide behind a good one', () => {
    expect(codeOf([bundle, { ...bundle, dsseEnvelope: undefined }])).toBe('signature-invalid');
    expect(
      codeOf([bundle, signArtifact({ ...subject, version: '9.9.9' }, keys['RSA 2048'].privateKeyPem, 'rsa')]),
    ).toBe('signature-invalid');
  });

  it.each([
    ['nothing', null],
    ['text', 'bundle'],
    ['a list', []],
    ['an empty object', {}],
    ['undefined', undefined],
    ['another media type', { ...bundle, mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' }],
    ['no key', { ...bundle, verificationMaterial: {} }],
    ['a certificate', { ...bundle, verificationMaterial: { certificate: { rawBytes: 'AAAA' } } }],
    [
      'two signatures',
      {
        ...bundle,
        dsseEnvelope: { ...bundle.dsseEnvelope, signatures: [1, 2].map(() => bundle.dsseEnvelope!.signatures[0]) },
      },
    ],
    ['another payload type', { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payloadType: 'text/plain' } }],
    [
      'a message signature',
      {
        ...bundle,
        dsseEnvelope: undefined,
        messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: 'AAAA' }, signature: 'AAAA' },
      },
    ],
    ['too much', { ...bundle, padding: 'x'.repeat(signatureLimits.bundleKiB * 1024) }],
  ])('refuses %s as malformed', (_, json) => {
    expect(codeOf([json])).toBe('signature-invalid');
  });

  it('refuses any JSON that is no bundle, with no other error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        expect(codeOf([json])).toBe('signature-invalid');
      }),
    );
  });

  it('names the first bundle that counts for each key, and none that does not', () => {
    const again = { ...bundle, note: 'again' };
    expect([...countedBundles(subject, [strange, bundle, again], trust, at)]).toEqual([[own.id, bundle]]);
  });

  it('refuses more bundles than anyone needs', () => {
    expect(codeOf(Array<unknown>(signatureLimits.bundleCount).fill(bundle))).toBe(own.id);
    expect(codeOf(Array<unknown>(signatureLimits.bundleCount + 1).fill(bundle))).toBe('signature-invalid');
  });

  it('says which bundle, which key and why', () => {
    expect(() => verifySignatures(subject, [strange], trust, at)).toThrow(
      'greeter@1.2.3 is signed by nobody who is trusted: key "stranger" is not in the trust file.',
    );
    const changed = signArtifact({ ...subject, version: '2.0.0' }, own.privateKeyPem, own.id);
    expect(() => verifySignatures(subject, [bundle, changed], trust, at)).toThrow(
      `bundle 2 of 2 for greeter@1.2.3 is about something else: it does not name greeter@1.2.3 with ${subject.digest}.`,
    );
  });
});
