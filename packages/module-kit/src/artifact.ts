import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { digestOf } from './digest.js';
import { ManifestError, parseManifest, type Manifest } from './manifest.js';

/** One published version, read and checked. `files` are by their path below `package/`. */
export interface Artifact {
  name: string;
  version: string;
  /** sha256 of the packed bytes. */
  digest: string;
  /** Length of the packed bytes. */
  sizeBytes: number;
  manifest: Manifest;
  files: ReadonlyMap<string, Buffer>;
}

/** Bytes that are not a module's artifact; the message says what is wrong. */
export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
}

export const artifactLimits = {
  packedMiB: 10,
  unpackedMiB: 50,
  entryCount: 200,
  pathLength: 200,
  packageJsonKiB: 256,
} as const;

const mebibyte = 1024 * 1024;
/** Beside the files' content a tar has headers and padding; their room is bounded too. */
const tarOverheadBytes = mebibyte;
const unzip = promisify(gunzip);

/**
 * Reads an artifact (.tgz, everything below `package/`), wholly in memory; nothing of it is run or written.
 * @throws ArtifactError when it is too big, not a gzipped tar, has anything but regular files at plain relative paths, or
 * its package.json or entry is missing or wrong
 */
export async function readArtifact(bytes: Buffer): Promise<Artifact> {
  if (bytes.length > artifactLimits.packedMiB * mebibyte) {
    throw new ArtifactError(
      `The artifact has ${bytes.length} bytes; at most ${artifactLimits.packedMiB} MiB are allowed.`,
    );
  }
  const files = await readTar(await inflate(bytes));
  const { name, version, manifest } = readPackageJson(files);
  if (!files.has(manifest.entry)) {
    throw new ArtifactError(`The entry ${quote(manifest.entry)} that package.json names is not in the artifact.`);
  }
  return { name, version, digest: digestOf(bytes), sizeBytes: bytes.length, manifest, files };
}

/** zlib stops as soon as the output passes the limit, so that a small file that inflates to gigabytes costs no more. */
async function inflate(bytes: Buffer): Promise<Buffer> {
  try {
    return await unzip(bytes, { maxOutputLength: artifactLimits.unpackedMiB * mebibyte + tarOverheadBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooBigUnpacked();
    throw new ArtifactError(`The artifact is not gzipped data: ${(error as Error).message}.`);
  }
}

async function readTar(tar: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const taken = new Map<string, 'file' | 'folder'>();
  let unpackedBytes = 0;
  const reader = extract();
  reader.end(tar);
  try {
    for await (const entry of reader) {
      const path = checkedPath(entry.header, taken);
      if (files.size >= artifactLimits.entryCount) {
        throw new ArtifactError(`The artifact has more than ${artifactLimits.entryCount} entries.`);
      }
      const content = await buffer(entry);
      unpackedBytes += content.length;
      if (unpackedBytes > artifactLimits.unpackedMiB * mebibyte) throw tooBigUnpacked();
      files.set(path, content);
    }
  } catch (error) {
    if (error instanceof ArtifactError) throw error;
    throw new ArtifactError(`The artifact is not a whole tar archive: ${(error as Error).message}.`);
  }
  return files;
}

/**
 * The entry's path below `package/`. `taken` has every path so far in a form that also clashes where a file system does not tell case
 * or Unicode composition apart.
 */
function checkedPath(header: Header, taken: Map<string, 'file' | 'folder'>): string {
  const { name, type } = header;
  if (type !== 'file') {
    throw new ArtifactError(
      `The entry ${quote(name)} is a ${type ?? 'thing of unknown type'}; only regular files are allowed.`,
    );
  }
  const segments = name.split('/');
  const isPlain =
    name.length <= artifactLimits.pathLength &&
    segments.length > 1 &&
    segments[0] === 'package' &&
    segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..') &&
    !hasForeignCharacter(name);
  if (!isPlain) {
    throw new ArtifactError(
      `The entry ${quote(name)} is refused: paths start with package/, climb nowhere, use / alone and have at most ${artifactLimits.pathLength} characters.`,
    );
  }
  const path = segments.slice(1).join('/');
  const folded = path.normalize('NFC').toLowerCase().split('/');
  for (let length = 1; length <= folded.length; length++) {
    const key = folded.slice(0, length).join('/');
    const kind = length === folded.length ? 'file' : 'folder';
    if (taken.has(key) && (kind === 'file' || taken.get(key) === 'file')) {
      throw new ArtifactError(`The entry ${quote(name)} clashes with another one of the same path.`);
    }
    taken.set(key, kind);
  }
  return path;
}

/** Control characters, and what Windows reads as a separator, a drive or a stream. */
function hasForeignCharacter(name: string): boolean {
  return /[\p{Cc}\\:]/u.test(name);
}

function readPackageJson(files: ReadonlyMap<string, Buffer>): ReturnType<typeof parseManifest> {
  const content = files.get('package.json');
  if (content === undefined) throw new ArtifactError('The artifact has no package/package.json.');
  if (content.length > artifactLimits.packageJsonKiB * 1024) {
    throw new ArtifactError(`package.json has more than ${artifactLimits.packageJsonKiB} KiB.`);
  }
  let packageJson: unknown;
  try {
    packageJson = JSON.parse(content.toString('utf8'));
  } catch (error) {
    throw new ArtifactError(`package.json is not JSON: ${(error as Error).message}.`);
  }
  try {
    return parseManifest(packageJson);
  } catch (error) {
    if (error instanceof ManifestError) throw new ArtifactError(error.message, { cause: error });
    throw error;
  }
}

function tooBigUnpacked(): ArtifactError {
  return new ArtifactError(`The artifact unpacks to more than ${artifactLimits.unpackedMiB} MiB.`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}
