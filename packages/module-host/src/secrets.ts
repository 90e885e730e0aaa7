import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

const filesMax = 100;
const fileBytesMax = 64 * 1024;

/**
 * A module's secret values by name, from the files of its folder (`<secretsDirectory>/<module>/<NAME>`; one line end at the
 * end of a file is not part of the value). None where there is no such folder.
 *
 * @throws Error for too many or too large files, and for unreadable ones; messages hold no values.
 */
export async function readSecrets(secretsDirectory: string | null, module: string): Promise<Record<string, string>> {
  if (secretsDirectory === null) return {};
  const folder = join(secretsDirectory, module);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const secrets: Record<string, string> = {};
  for (const name of names.sort()) {
    // Mounted secrets keep their own bookkeeping in dot files.
    if (name.startsWith('.')) continue;
    const file = join(folder, name);
    const { size, ...kind } = await stat(file).then((stats) => ({ size: stats.size, isFile: stats.isFile() }));
    if (!kind.isFile) continue;
    if (size > fileBytesMax) throw new Error(`The secret ${file} is larger than ${fileBytesMax} bytes.`);
    secrets[name] = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
    if (Object.keys(secrets).length > filesMax)
      throw new Error(`There are more than ${filesMax} secrets in ${folder}.`);
  }
  return secrets;
}
