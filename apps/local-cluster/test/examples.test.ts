import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isTrustedFor, loadTrustFile, packModule, signArtifact, verifySignatures } from '@hotswap/module-kit';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findExamplePackages } from '../src/examples/example-packages.js';
import { exampleKeyId, exampleSigningKey, trustExamples } from '../src/examples/example-trust.js';
import { withChanges } from '../src/policy/write-local-policy.js';

describe('the examples', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hotswap-examples-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function writePackage(example: string, version: string): void {
    const target = join(folder, 'examples', example, 'dist', version);
    mkdirSync(join(target, 'dist'), { recursive: true });
    const hotswap = { manifest: 1, entry: 'dist/module.js', kernel: '^1.0.0' };
    writeFileSync(join(target, 'package.json'), JSON.stringify({ name: example, version, type: 'module', hotswap }));
    writeFileSync(join(target, 'dist', 'module.js'), 'export default { fetch: () => new Response("here") };');
  }

  it('are what the build has made, and are trusted once signed', async () => {
    writePackage('price-list', '1.0.0');
    writePackage('payment-processor', '2.0.0');
    const packages = findExamplePackages(join(folder, 'examples'));
    expect(packages.map(({ name, version }) => `${name}@${version}`)).toEqual([
      'payment-processor@2.0.0',
      'price-list@1.0.0',
    ]);

    const keyFile = join(folder, 'key.pem');
    const key = exampleSigningKey(keyFile);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(exampleSigningKey(keyFile)).toBe(key);
    const trustFile = join(folder, 'trust.json');
    trustExamples(trustFile, key, ['payment-processor']);

    const trust = await loadTrustFile(trustFile);
    const packed = await packModule(packages[0]?.folder ?? '');
    const signers = verifySignatures(packed, [signArtifact(packed, key, exampleKeyId)], trust, new Date());
    expect(isTrustedFor(trust, packed.name, 'Production', signers).trusted).toBe(true);
    expect(isTrustedFor(trust, 'price-list', 'Production', signers).trusted).toBe(false);
  });

  it('leave in a trust file what others have put there', () => {
    const trustFile = join(folder, 'trust.json');
    const own = { id: 'team', publicKey: 'PEM' };
    const rule = { modules: 'ours-*', environments: ['*'], keys: ['team', exampleKeyId] };
    writeFileSync(trustFile, JSON.stringify({ trust: 1, keys: [own], rules: [rule] }));
    const key = exampleSigningKey(join(folder, 'key.pem'));
    trustExamples(trustFile, key, ['price-list']);
    const first = readFileSync(trustFile, 'utf8');
    trustExamples(trustFile, key, ['price-list']);
    expect(readFileSync(trustFile, 'utf8')).toBe(first);
    const { keys, rules } = JSON.parse(first) as { keys: { id: string }[]; rules: { modules: string }[] };
    expect(keys.map(({ id }) => id)).toEqual(['team', exampleKeyId]);
    expect(rules.map(({ modules }) => modules)).toEqual(['ours-*', 'price-list']);
  });

  it('trust nobody where there are none', async () => {
    const trustFile = join(folder, 'trust.json');
    trustExamples(trustFile, null, []);
    expect((await loadTrustFile(trustFile)).rules).toEqual([]);
  });

  it('refuse to overwrite a file that is no trust file', () => {
    const trustFile = join(folder, 'trust.json');
    writeFileSync(trustFile, '{"trust":2}');
    expect(() => trustExamples(trustFile, null, [])).toThrow(/is no trust file/);
  });
});

describe('withChanges', () => {
  it('lays objects over each other and replaces lists', () => {
    const policy = { canary: { scout: { percent: 5, seconds: 60 }, steps: [1, 2, 3] }, warmSeconds: 900 };
    expect(withChanges(policy, { canary: { steps: [1], scout: { seconds: 5 } } })).toEqual({
      canary: { scout: { percent: 5, seconds: 5 }, steps: [1] },
      warmSeconds: 900,
    });
    expect(policy.canary.steps).toEqual([1, 2, 3]);
  });
});
