import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { canEnter, type SystemUser } from './server-user.js';

/** Where the server's own files are. */
export interface ServerPlace {
  /** Belongs to the server's user; holds the database in `data`. */
  folder: string;
  /** Where a copy of the programs goes, asked for only when one is needed. */
  binariesCopy: () => string;
  /** True when the server's user can't reach the data directory, so that this is elsewhere. */
  elsewhere: boolean;
}

/** For root only: nobody else meets a folder that the server's user can't enter. */
const outsideRoots = ['/var/lib/hotswap', '/var/tmp/hotswap'];

/**
 * Makes the place of the server's files: `<postgresFolder>/server`, or, where its user can't get there (a checkout below a
 * private home, started as root), a folder below /var/lib/hotswap named after the data directory; the file
 * `<postgresFolder>/location` then says which.
 * @throws Error when the database of a data directory that was moved would be left behind
 */
export function prepareServerPlace(
  postgresFolder: string,
  user: SystemUser | null,
  binariesVersion: string,
  roots: readonly string[] = outsideRoots,
): ServerPlace {
  mkdirSync(postgresFolder, { recursive: true });
  const inside = join(postgresFolder, 'server');
  const pointer = join(postgresFolder, 'location');
  const binariesCopy = () =>
    join(user === null ? postgresFolder : openOutsideRoot(roots, user), `binaries-${binariesVersion}`);
  if (user === null || (canEnter(user, postgresFolder) && !existsSync(pointer))) {
    own(inside, user);
    return { folder: inside, binariesCopy, elsewhere: false };
  }

  const root = openOutsideRoot(roots, user);
  const name = createHash('sha256').update(realpathSync(postgresFolder)).digest('hex').slice(0, 16);
  const outside = join(root, name);
  const recorded = existsSync(pointer) ? readFileSync(pointer, 'utf8').trim() : outside;
  if (recorded !== outside) {
    throw new Error(
      `This data directory was moved or copied; its database is still ${recorded}. Move that folder to ${outside} and write this path into ${pointer}; or remove ${pointer} to begin with an empty database.`,
    );
  }
  own(outside, user);
  writeFileSync(pointer, `${outside}\n`);
  return { folder: outside, binariesCopy, elsewhere: true };
}

/** The first of the folders that is root's alone to write and that the server's user can enter. */
function openOutsideRoot(roots: readonly string[], user: SystemUser): string {
  for (const root of roots) {
    try {
      mkdirSync(root, { mode: 0o755 });
      chmodSync(root, 0o755);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') continue;
    }
    const { uid, mode } = lstatSync(root);
    if (uid === 0 && (mode & 0o022) === 0 && canEnter(user, root)) return root;
  }
  throw new Error(
    `As root, Postgres runs as uid ${user.uid}, which can enter neither the data directory nor ${roots.join(' nor ')}. Set HOTSWAP_DATA_DIR to a folder that it can enter, or start as another user.`,
  );
}

function own(folder: string, user: SystemUser | null): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user !== null) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
}
