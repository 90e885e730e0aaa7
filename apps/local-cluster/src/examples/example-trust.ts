import { environments } from '@hotswap/agent-protocol';
import { generateKeyPair } from '@hotswap/module-kit';
import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { keptSecret } from '../secret-file.js';

/** Names the key that signs the local examples, in bundles and in trust files. */
export const exampleKeyId = 'local-examples';

interface TrustFile {
  trust: 1;
  keys: { id: string; publicKey: string; notAfter?: string }[];
  rules: { modules: string; environments: string[]; keys: string[]; signatures?: number }[];
}

/** The private key (PEM) that signs the examples; made the first time, and readable by the owner of `file` alone. */
export function exampleSigningKey(file: string): string {
  return `${keptSecret(file, () => generateKeyPair(exampleKeyId).privateKeyPem)}\n`;
}

/**
 * Makes a trust file trust the examples' key for these modules (none: just a file that trusts nobody yet). What else
 * stands in the file, such as a team's own keys and rules, stays.
 * @throws Error when the file is not JSON
 */
export function trustExamples(file: string, privateKeyPem: string | null, moduleNames: readonly string[]): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : null;
  const trust = before === null ? { trust: 1 as const, keys: [], rules: [] } : parse(file, before);
  if (privateKeyPem !== null) {
    const publicKey = createPublicKey(privateKeyPem).export({ type: 'spki', format: 'pem' }).toString();
    trust.keys = [...trust.keys.filter(({ id }) => id !== exampleKeyId), { id: exampleKeyId, publicKey }];
    const isOurs = (rule: TrustFile['rules'][number]) => rule.keys.length === 1 && rule.keys[0] === exampleKeyId;
    const ours = moduleNames.map((modules) => ({
      modules,
      environments: [...environments],
      keys: [exampleKeyId],
      signatures: 1,
    }));
    trust.rules = [...trust.rules.filter((rule) => !isOurs(rule)), ...ours];
  }
  const after = `${JSON.stringify(trust, null, 2)}\n`;
  if (after === before) return;
  writeFileSync(`${file}.new`, after);
  renameSync(`${file}.new`, file);
}

function parse(file: string, text: string): TrustFile {
  try {
    const { trust, keys, rules } = JSON.parse(text) as TrustFile;
    if (trust === 1 && Array.isArray(keys) && Array.isArray(rules)) return { trust, keys, rules };
  } catch {
    // Told below, with the file's name.
  }
  throw new Error(`${file} is no trust file: mend it, or remove it to have a new one written.`);
}
