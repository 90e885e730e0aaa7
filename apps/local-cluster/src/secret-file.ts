import { chmodSync, linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

/** The secret kept in a file that its owner alone can read; `make` gives it the first time. */
export function keptSecret(file: string, make: () => string): string {
  const kept = read(file);
  if (kept !== null) {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600);
    return kept;
  }
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, `${make().trimEnd()}\n`, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
  return read(file) ?? '';
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trimEnd() || null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
