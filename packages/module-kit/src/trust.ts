import type { KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { describeProblems, schemaCheck, type Problem } from './schema-check.js';
import { readPublicKey } from './signing-key.js';

/** Whose signatures count for which modules: a trust file, read. Described by trust.schema.json. */
export interface Trust {
  keys: ReadonlyMap<string, TrustedKey>;
  rules: readonly TrustRule[];
}

export interface TrustedKey {
  id: string;
  publicKey: KeyObject;
  /** Null: no end. */
  notAfter: Date | null;
}

export interface TrustRule {
  /** Module name with `*` for any run of characters. */
  modules: string;
  environments: readonly string[];
  /** Ids of the keys that may sign. */
  keys: readonly string[];
  /** How many of them have to. */
  signatures: number;
}

/** A trust file that can't be used; the message says where and why. */
export class TrustError extends Error {
  override readonly name = 'TrustError';
}

interface TrustFile {
  keys: { id: string; publicKey: string; notAfter?: string }[];
  rules: TrustRule[];
}

const sizeMaxBytes = 1024 * 1024;
const check = schemaCheck('./trust.schema.json');

/**
 * Reads a trust file's JSON. The value is not changed.
 * @throws TrustError naming every problem by its JSON pointer
 */
export function parseTrust(json: unknown): Trust {
  const file = structuredClone(json) as TrustFile;
  const problems = check(file);
  refuse(problems);
  const keys = new Map<string, TrustedKey>();
  for (const [index, { id, publicKey: pem, notAfter }] of file.keys.entries()) {
    const pointer = `/keys/${index}`;
    if (keys.has(id)) problems.push({ pointer: `${pointer}/id`, message: `"${id}" is there twice` });
    const end = notAfter === undefined ? null : new Date(notAfter);
    if (end !== null && Number.isNaN(end.getTime())) {
      problems.push({ pointer: `${pointer}/notAfter`, message: `${notAfter} is no date` });
    }
    try {
      const publicKey = readPublicKey(pem);
      // One key under two names would count as two signers.
      const twin = [...keys.values()].find((other) => isSameKey(other.publicKey, publicKey));
      if (twin !== undefined) {
        problems.push({ pointer: `${pointer}/publicKey`, message: `is also the key of "${twin.id}"` });
      }
      keys.set(id, { id, publicKey, notAfter: end });
    } catch (error) {
      problems.push({ pointer: `${pointer}/publicKey`, message: (error as Error).message });
    }
  }
  const ids = new Set(file.keys.map(({ id }) => id));
  problems.push(...file.rules.flatMap((rule, index) => ruleProblems(rule, `/rules/${index}`, ids)));
  refuse(problems);
  return { keys, rules: file.rules };
}

/** @throws TrustError where the file can't be read, has more than 1 MiB, or is no trust file */
export async function loadTrustFile(path: string): Promise<Trust> {
  let json: unknown;
  try {
    json = JSON.parse(await readBounded(path));
  } catch (error) {
    throw new TrustError(`The trust file ${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    return parseTrust(json);
  } catch (error) {
    if (error instanceof TrustError) throw new TrustError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/**
 * Whether the signers (ids of keys whose signatures were verified) suffice for the module in the environment. Each rule that
 * matches both is a way to trust of its own: one that is satisfied suffices. No rule that matches = not trusted.
 */
export function isTrustedFor(
  trust: Trust,
  moduleName: string,
  environment: string,
  signers: readonly string[],
): { trusted: true } | { trusted: false; because: string } {
  const rules = trust.rules.filter((rule) => matches(rule, moduleName, environment));
  if (rules.length === 0) {
    return { trusted: false, because: `no rule of the trust file is about ${moduleName} in ${environment}` };
  }
  const unmet: string[] = [];
  for (const rule of rules) {
    const counted = rule.keys.filter((id) => signers.includes(id));
    if (counted.length >= rule.signatures) return { trusted: true };
    unmet.push(`${rule.signatures} of ${rule.keys.join(', ')} (has ${counted.length})`);
  }
  return {
    trusted: false,
    because: `${moduleName} in ${environment} has to be signed by ${unmet.join(', or ')}; it is signed by ${[...new Set(signers)].join(', ') || 'nobody'}`,
  };
}

function matches(rule: TrustRule, moduleName: string, environment: string): boolean {
  const isAboutEnvironment = rule.environments.some((name) => name === '*' || name === environment);
  return isAboutEnvironment && globMatches(rule.modules, moduleName);
}

/** Linear in the name for every glob: each part between stars is looked for once, from where the one before ended. */
function globMatches(glob: string, name: string): boolean {
  const [first = '', ...rest] = glob.split('*');
  const last = rest.pop();
  if (last === undefined) return name === glob;
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false;
  let from = first.length;
  const to = name.length - last.length;
  for (const part of rest) {
    const found = name.indexOf(part, from);
    if (found === -1 || found + part.length > to) return false;
    from = found + part.length;
  }
  return true;
}

function ruleProblems(rule: TrustRule, pointer: string, ids: ReadonlySet<string>): Problem[] {
  const problems = rule.keys
    .filter((id) => !ids.has(id))
    .map((id) => ({ pointer: `${pointer}/keys`, message: `"${id}" is not among the keys of this file` }));
  if (rule.signatures > rule.keys.length) {
    problems.push({
      pointer: `${pointer}/signatures`,
      message: `asks for ${rule.signatures} signatures, but names ${rule.keys.length} keys`,
    });
  }
  return problems;
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new TrustError(`The trust file is not valid: ${describeProblems(problems)}`);
}

/**
 * By their encodings: `KeyObject.equals` leaves an OpenSSL error behind when the kinds differ, and the next key that this
 * process reads then fails with "different key types".
 */
function isSameKey(a: KeyObject, b: KeyObject): boolean {
  const encode = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
  return encode(a).equals(encode(b));
}

async function readBounded(path: string): Promise<string> {
  await using file = await open(path);
  const { size } = await file.stat();
  if (size > sizeMaxBytes) throw new Error(`it has more than ${sizeMaxBytes} bytes`);
  return file.readFile('utf8');
}
