import { execFileSync, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** A user and group of this machine, as child_process takes them. */
export interface SystemUser {
  uid: number;
  gid: number;
}

const candidates = ['postgres', 'nobody'];

/**
 * Whom Postgres runs as: it refuses root, so for root an existing unprivileged user (whoever owns `dataDirectory` already, else
 * `postgres`, else `nobody`); nobody is added to the system. null: the launcher's own user will do.
 * @throws Error when root finds no such user
 */
export function chooseServerUser(dataDirectory: string): SystemUser | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(dataDirectory, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const name of candidates) {
    const [uid, gid] = [idOf('-u', name), idOf('-g', name)];
    if (uid !== null && gid !== null && uid !== 0) return { uid, gid };
  }
  throw new Error(
    `Postgres does not run as root, and there is no user ${candidates.join(' or ')} to run it as. Start as another user, or set DATABASE_URL.`,
  );
}

/** Whether this user may pass through a folder (real access, whatever grants or denies it). */
export function canEnter(user: SystemUser | null, folder: string): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], { ...user, cwd: '/', stdio: 'ignore', timeout: 10_000 })
      .status === 0
  );
}

function idOf(flag: '-u' | '-g', name: string): number | null {
  try {
    return Number(
      execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 }),
    );
  } catch {
    return null;
  }
}
