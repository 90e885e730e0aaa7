import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { ArtifactError, readArtifact, type Artifact } from './artifact.js';
import { packModule } from './pack-module.js';
import { PublishError, publishArtifact } from './publish-artifact.js';
import { signArtifact } from './sign-artifact.js';
import { generateKeyPair, isKeyId } from './signing-key.js';

const usage = `Usage: npm run module -- COMMAND

  pack DIR [--out FILE]
      Packs the module in DIR. FILE defaults to <name>-<version>.tgz.
  keygen [--id ID] [--out FILE]
      Makes a key: the private half in FILE (default <ID>.pem, readable by you alone), the public half in FILE.pub.
      ID (default "local") names the key in trust files. Nothing is overwritten.
  sign FILE --key K [--id ID] [--out BUNDLE]
      Signs the artifact FILE with the private key in K. ID defaults to K's name without .pem,
      BUNDLE to FILE.sigstore.json.
  publish FILE --bundle B [--bundle B2] [--url URL] [--token TOKEN]
      Publishes the artifact FILE with its signatures. URL defaults to http://localhost:5000,
      TOKEN to the environment's HOTSWAP_API_TOKEN, which keeps it out of the list of processes.

Exit code: 0 done, 1 refused (why is on stderr), 2 wrong usage.
`;

/** A call that does not fit the usage text. */
class UsageError extends Error {}
/** A call that can't be done; the message says why. */
class RefusedError extends Error {}

const publishTimeoutSeconds = 60;
const commands: Record<string, (args: string[]) => Promise<void>> = { pack, keygen, sign, publish };

try {
  await run(process.argv.slice(2));
} catch (error) {
  const { message } = error as Error;
  if (isUsageError(error)) {
    process.stderr.write(`${message}\n\n${usage}`);
    process.exitCode = 2;
  } else if (isRefusal(error)) {
    process.stderr.write(`${message}\n`);
    process.exitCode = 1;
  } else throw error;
}

async function run([name, ...args]: string[]): Promise<void> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage);
    return;
  }
  if (name === undefined) throw new UsageError('A command is missing.');
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new UsageError(`There is no command "${name}".`);
  await command(args);
}

async function pack(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { out: { type: 'string' } } });
  const packed = await packModule(only(positionals, 'DIR'));
  const out = values.out ?? packed.fileName;
  await writeFile(out, packed.bytes);
  print(
    `Packed ${packed.name}@${packed.version}: ${packed.bytes.length} bytes, ${packed.digest}`,
    `  artifact  ${out}`,
  );
}

async function keygen(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { id: { type: 'string', default: 'local' }, out: { type: 'string' } },
  });
  const { id, privateKeyPem, publicKeyPem } = generateKeyPair(checkedKeyId(values.id));
  const out = values.out ?? `${id}.pem`;
  await writeNew(out, privateKeyPem, 0o600);
  try {
    await writeNew(`${out}.pub`, publicKeyPem, 0o644);
  } catch (error) {
    await rm(out);
    throw error;
  }
  print(
    `Made the Ed25519 key "${id}".`,
    `  private  ${out} (keep it to yourself)`,
    `  public   ${out}.pub`,
    'For the keys of a trust file:',
    `  ${JSON.stringify({ id, publicKey: publicKeyPem })}`,
  );
}

async function sign(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { key: { type: 'string' }, id: { type: 'string' }, out: { type: 'string' } },
  });
  const file = only(positionals, 'FILE');
  if (values.key === undefined) throw new UsageError('--key is missing.');
  const keyId = checkedKeyId(values.id ?? basename(values.key, '.pem'));
  const artifact = await readArtifactFile(file);
  const privateKeyPem = (await readFile(values.key)).toString('utf8');
  const bundle = signWith(artifact, privateKeyPem, keyId, values.key);
  const out = values.out ?? `${file}.sigstore.json`;
  await writeFile(out, `${JSON.stringify(bundle)}\n`);
  print(`Signed ${artifact.name}@${artifact.version}, ${artifact.digest}, as "${keyId}"`, `  bundle  ${out}`);
}

async function publish(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      bundle: { type: 'string', multiple: true, default: [] },
      url: { type: 'string', default: 'http://localhost:5000' },
      token: { type: 'string' },
    },
  });
  const file = only(positionals, 'FILE');
  if (values.bundle.length === 0) throw new UsageError('--bundle is missing.');
  if (!URL.canParse(values.url) || !/^https?:$/.test(new URL(values.url).protocol)) {
    throw new UsageError('--url must be an http or https URL.');
  }
  const { isNew, name, version, digest, signers } = await publishArtifact({
    url: new URL(values.url),
    token: (values.token ?? process.env['HOTSWAP_API_TOKEN']) || null,
    artifact: { fileName: basename(file), bytes: await readFile(file) },
    bundles: await Promise.all(values.bundle.map(async (path) => (await readFile(path)).toString('utf8'))),
    timeoutSeconds: publishTimeoutSeconds,
  });
  print(`${isNew ? 'Published' : 'Already published:'} ${name}@${version}, ${digest}, signed by ${signers.join(', ')}`);
}

async function readArtifactFile(path: string): Promise<Artifact> {
  try {
    return await readArtifact(await readFile(path));
  } catch (error) {
    if (error instanceof ArtifactError) throw new RefusedError(`${path}: ${error.message}`);
    throw error;
  }
}

function signWith(artifact: Artifact, privateKeyPem: string, keyId: string, keyFile: string) {
  try {
    return signArtifact(artifact, privateKeyPem, keyId);
  } catch (error) {
    if (error instanceof TypeError) throw new RefusedError(`${keyFile} ${error.message}`);
    throw error;
  }
}

async function writeNew(path: string, content: string, mode: number): Promise<void> {
  try {
    await writeFile(path, content, { flag: 'wx', mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new RefusedError(`${path} exists already; keys are never overwritten. Choose another --out.`);
  }
}

function only(positionals: string[], what: string): string {
  const [first, ...others] = positionals;
  if (first === undefined || others.length > 0) throw new UsageError(`Exactly one ${what} is wanted.`);
  return first;
}

function checkedKeyId(id: string): string {
  if (!isKeyId(id))
    throw new UsageError(`"${id}" can't name a key: letters, digits and ._@+- only, 100 at most. Give one by --id.`);
  return id;
}

/** parseArgs tells of unknown options and missing values by these codes. */
function isUsageError(error: unknown): boolean {
  return error instanceof UsageError || String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_');
}

/** Files that can't be read or written name their path themselves. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof RefusedError ||
    error instanceof ArtifactError ||
    error instanceof PublishError ||
    (error as NodeJS.ErrnoException).syscall !== undefined
  );
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
