import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair, isTrustedFor, loadTrustFile, parseTrust, TrustError } from '../src/index.js';

const [payments, release, other] = ['payments-team', 'release', 'other'].map((id) => {
  const { publicKeyPem, privateKeyPem } = generateKeyPair(id);
  return { id, publicKey: publicKeyPem, privateKeyPem };
}) as [Entry, Entry, Entry];
interface Entry {
  id: string;
  publicKey: string;
  privateKeyPem: string;
}

const key = ({ id, publicKey }: Entry) => ({ id, publicKey });
const rule = (changes: Record<string, unknown> = {}) => ({
  modules: '*',
  environments: ['*'],
  keys: ['payments-team'],
  ...changes,
});
const file = (rules: unknown[], keys: unknown[] = [payments, release, other].map(key)) => ({ trust: 1, keys, rules });
const trustedBy = (rules: unknown[], module: string, environment: string, signers: string[]) =>
  isTrustedFor(parseTrust(file(rules)), module, environment, signers).trusted;

describe('parseTrust', () => {
  it('reads keys and rules', () => {
    const trust = parseTrust(
      file(
        [rule({ modules: 'payment-*', environments: ['QA'], signatures: 1 })],
        [{ ...key(payments), notAfter: '2027-12-31T00:00:00Z' }],
      ),
    );
    expect(trust.keys.get('payments-team')).toMatchObject({
      id: 'payments-team',
      notAfter: new Date('2027-12-31T00:00:00Z'),
    });
    expect(trust.rules).toEqual([
      { modules: 'payment-*', environments: ['QA'], keys: ['payments-team'], signatures: 1 },
    ]);
  });

  it.each([
    ['another version', { ...file([]), trust: 2 }, '/trust: must be 1'],
    ['no object', [], 'the document: must be object'],
    ['an unknown field', { ...file([]), signers: [] }, '/signers: is not a known field'],
    ['a rule without keys', file([rule({ keys: [] })]), '/rules/0/keys: must NOT have fewer than 1 items'],
    ['a key that is not there', file([rule({ keys: ['nobody'] })]), '/rules/0/keys: "nobody" is not among the keys'],
    [
      'more signatures than keys',
      file([rule({ signatures: 2 })]),
      '/rules/0/signatures: asks for 2 signatures, but names 1 keys',
    ],
    ['an unknown environment', file([rule({ environments: ['Prod'] })]), '/rules/0/environments/0: must be one of'],
    [
      'an id twice',
      file([], [key(payments), { ...key(other), id: 'payments-team' }]),
      '/keys/1/id: "payments-team" is there twice',
    ],
    [
      'one key under two ids',
      file([], [key(payments), { ...key(payments), id: 'b' }]),
      '/keys/1/publicKey: is also the key of "payments-team"',
    ],
    ['a date without zone', file([], [{ ...key(payments), notAfter: '2027-12-31' }]), '/keys/0/notAfter: must match'],
    [
      'no such date',
      file([], [{ ...key(payments), notAfter: '2027-13-31T00:00:00Z' }]),
      '/keys/0/notAfter: 2027-13-31T00:00:00Z is no date',
    ],
    ['no key', file([], [{ id: 'a', publicKey: 'x' }]), '/keys/0/publicKey: is not a public key in PEM form'],
    [
      'a private key',
      file([], [{ id: 'a', publicKey: payments.privateKeyPem }]),
      '/keys/0/publicKey: is a private key',
    ],
    [
      'a weak key',
      file(
        [],
        [
          {
            id: 'a',
            publicKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
              type: 'spki',
              format: 'pem',
            }),
          },
        ],
      ),
      '/keys/0/publicKey: must be an Ed25519',
    ],
  ])('refuses %s', (_, json, message) => {
    expect(() => parseTrust(json)).toThrow(TrustError);
    expect(() => parseTrust(json)).toThrow(message);
  });
});

describe('isTrustedFor', () => {
  it('trusts nobody where no rule matches', () => {
    const rules = [rule({ modules: 'payment-*', environments: ['QA'] })];
    expect(trustedBy(rules, 'payment-processor', 'QA', ['payments-team'])).toBe(true);
    expect(trustedBy(rules, 'price-list', 'QA', ['payments-team'])).toBe(false);
    expect(trustedBy(rules, 'payment-processor', 'Production', ['payments-team'])).toBe(false);
    expect(trustedBy([], 'a', 'QA', ['payments-team'])).toBe(false);
  });

  it('counts different keys of the rule alone', () => {
    const rules = [rule({ keys: ['payments-team', 'release'], signatures: 2 })];
    expect(trustedBy(rules, 'a', 'QA', ['payments-team', 'release'])).toBe(true);
    expect(trustedBy(rules, 'a', 'QA', ['payments-team', 'payments-team'])).toBe(false);
    expect(trustedBy(rules, 'a', 'QA', ['payments-team', 'other'])).toBe(false);
    expect(trustedBy(rules, 'a', 'QA', [])).toBe(false);
  });

  it('is satisfied by any rule that matches, and does not add rules up', () => {
    const rules = [
      rule({ keys: ['payments-team', 'release'], signatures: 2 }),
      rule({ modules: 'a*', keys: ['other', 'release'], signatures: 2 }),
      rule({ modules: 'b', keys: ['other'] }),
    ];
    expect(trustedBy(rules, 'a', 'QA', ['payments-team', 'other'])).toBe(false);
    expect(trustedBy(rules, 'a', 'QA', ['release', 'other'])).toBe(true);
    expect(trustedBy(rules, 'b', 'QA', ['other'])).toBe(true);
  });

  it('says why not', () => {
    const trust = parseTrust(file([rule({ modules: 'a', keys: ['payments-team', 'release'], signatures: 2 })]));
    expect(isTrustedFor(trust, 'a', 'QA', ['release'])).toEqual({
      trusted: false,
      because: 'a in QA has to be signed by 2 of payments-team, release (has 1); it is signed by release',
    });
    expect(isTrustedFor(trust, 'b', 'QA', ['release'])).toEqual({
      trusted: false,
      because: 'no rule of the trust file is about b in QA',
    });
  });

  it('matches globs as a regular expression would', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8, minLength: 1 });
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*'), maxLength: 8, minLength: 1 });
    let matched = 0;
    fc.assert(
      fc.property(glob, text, (modules, name) => {
        const expected = new RegExp(`^${modules.replaceAll('*', '.*')}$`).test(name);
        if (expected) matched++;
        expect(trustedBy([rule({ modules })], name, 'QA', ['payments-team'])).toBe(expected);
      }),
      { numRuns: 2000 },
    );
    expect(matched).toBeGreaterThan(20);
  });
});

describe('loadTrustFile', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hotswap-trust-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('loads a file, and names it in every error', async () => {
    const path = join(directory, 'trust.json');
    await expect(loadTrustFile(path)).rejects.toThrow(`The trust file ${path} can't be read: ENOENT`);
    await writeFile(path, '{');
    await expect(loadTrustFile(path)).rejects.toThrow(TrustError);
    await writeFile(path, ' '.repeat(1024 * 1024 + 1));
    await expect(loadTrustFile(path)).rejects.toThrow('it has more than');
    await writeFile(path, JSON.stringify({ ...file([]), trust: 7 }));
    await expect(loadTrustFile(path)).rejects.toThrow(`${path}: The trust file is not valid: /trust: must be 1`);
    await writeFile(path, JSON.stringify(file([rule()])));
    expect((await loadTrustFile(path)).keys.size).toBe(3);
  });
});
