import { glob, lstat, readFile, readdir } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { ArtifactError, artifactLimits, readArtifact } from './artifact.js';

export interface PackedModule {
  /** `<name>-<version>.tgz`. */
  fileName: string;
  bytes: Buffer;
  digest: string;
  name: string;
  version: string;
}

const zip = promisify(gzip);
/** The date npm gives to what it packs. Any fixed one would do. */
const modifiedAt = new Date('1985-10-26T08:15:00.000Z');
/** In every artifact where they exist, as npm has it. */
const alwaysPacked = /^(package\.json|(readme|licen[cs]e)(\.[a-z]+)?)$/i;
const neverPacked = new Set(['node_modules', '.git']);

/**
 * Packs the module in `directory`: package.json, README, LICENSE, and the files, folders and globs that package.json's
 * `files` names (default: dist). The same files give the same bytes, whenever and wherever they are packed (with the same zlib).
 * @throws ArtifactError where the result would not be accepted: see {@link readArtifact}
 */
export async function packModule(directory: string): Promise<PackedModule> {
  const paths = await pathsToPack(directory);
  if (paths.length > artifactLimits.entryCount) {
    throw new ArtifactError(
      `${directory} has ${paths.length} files to pack; at most ${artifactLimits.entryCount} are allowed.`,
    );
  }
  const tar = pack();
  const packed = buffer(tar);
  let unpackedBytes = 0;
  for (const path of paths) {
    const content = await readFile(join(directory, path));
    unpackedBytes += content.length;
    if (unpackedBytes > artifactLimits.unpackedMiB * 1024 * 1024) {
      throw new ArtifactError(`${directory} has more than ${artifactLimits.unpackedMiB} MiB to pack.`);
    }
    tar.entry({ name: `package/${path}`, mode: 0o644, mtime: modifiedAt, uid: 0, gid: 0 }, content);
  }
  tar.finalize();
  const bytes = await zip(await packed, { level: 9 });
  // The tenth byte of a gzip file tells the operating system; 255 says "unknown".
  bytes[9] = 255;
  const { name, version, digest } = await readArtifact(bytes);
  return { fileName: `${name}-${version}.tgz`, bytes, digest, name, version };
}

/** Paths relative to the directory, with `/`, sorted by code unit. */
async function pathsToPack(directory: string): Promise<string[]> {
  const paths = new Set<string>();
  for (const name of await readdir(directory)) {
    if (alwaysPacked.test(name)) paths.add(name);
  }
  if (!paths.has('package.json')) throw new ArtifactError(`${directory} has no package.json.`);
  for (const pattern of await patternsOf(directory)) {
    let found = false;
    for await (const match of glob(pattern, { cwd: directory })) {
      found = true;
      for await (const path of filesBelow(directory, match)) paths.add(path);
    }
    if (!found)
      throw new ArtifactError(`${directory}: "files" in package.json names ${pattern}, but there is no such file.`);
  }
  return [...paths].sort();
}

async function patternsOf(directory: string): Promise<string[]> {
  let packageJson: unknown;
  try {
    packageJson = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'));
  } catch (error) {
    throw new ArtifactError(`${join(directory, 'package.json')} can't be read: ${(error as Error).message}.`);
  }
  const patterns = (packageJson as { files?: unknown } | null)?.files ?? ['dist'];
  const isPlain = (pattern: unknown) =>
    typeof pattern === 'string' && pattern !== '' && !/^[!/]|(^|[\\/])\.\.([\\/]|$)/.test(pattern);
  if (!Array.isArray(patterns) || !patterns.every(isPlain)) {
    throw new ArtifactError(
      `${directory}: "files" in package.json must be a list of paths or globs inside the package, none of them negated.`,
    );
  }
  return patterns as string[];
}

async function* filesBelow(directory: string, path: string): AsyncGenerator<string> {
  const found = await lstat(join(directory, path));
  if (found.isDirectory()) {
    for (const name of await readdir(join(directory, path))) {
      if (!neverPacked.has(name)) yield* filesBelow(directory, join(path, name));
    }
  } else if (found.isFile()) {
    yield normalize(path).split(sep).join('/');
  } else {
    throw new ArtifactError(`${join(directory, path)} is not a regular file; links and devices can't be packed.`);
  }
}
