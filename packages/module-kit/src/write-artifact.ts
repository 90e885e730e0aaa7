import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Artifact } from './artifact.js';

/** Writes the files below `directory`, which is made where it is missing. A file that is already there is an error (EEXIST). */
export async function writeArtifact(artifact: Artifact, directory: string): Promise<void> {
  for (const [path, content] of artifact.files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content, { flag: 'wx', mode: 0o644 });
  }
}
