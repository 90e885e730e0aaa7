import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataDirectoryInUseError, LauncherLock } from '../src/launcher-lock.js';
import { formatPidFile } from '../src/supervisor/pid-file.js';
import { identifyProcess } from '../src/supervisor/process-identity.js';

describe('LauncherLock', () => {
  let folder: string;
  let file: string;
  let other: ChildProcess;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hotswap-lock-'));
    file = join(folder, 'local-cluster.lock');
    other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  });
  afterEach(() => {
    other.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  function identityOfOther() {
    const identity = identifyProcess(other.pid ?? 0);
    if (identity === null) throw new Error('The other process does not run');
    return identity;
  }

  it('is refused while its holder lives, naming it', async () => {
    writeFileSync(file, formatPidFile(identityOfOther()));
    await expect(LauncherLock.acquire(file)).rejects.toThrow(
      new RegExp(`Another npm start, pid ${other.pid}, already runs on this data directory .*HOTSWAP_DATA_DIR`),
    );
    await expect(LauncherLock.acquire(file)).rejects.toBeInstanceOf(DataDirectoryInUseError);
  });

  it('is taken over from a holder that is gone, and from one whose pid is another process’ now', async () => {
    const gone = identityOfOther();
    writeFileSync(file, formatPidFile({ ...gone, startedAt: 'at another time' }));
    (await LauncherLock.acquire(file)).release();
    expect(existsSync(file)).toBe(false);

    writeFileSync(file, formatPidFile(gone));
    other.kill('SIGKILL');
    await once(other, 'exit');
    const lock = await LauncherLock.acquire(file);
    expect(readFileSync(file, 'utf8').split('\n')[0]).toBe(String(process.pid));
    lock.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is waited for while its holder ends', async () => {
    writeFileSync(file, `${formatPidFile(identityOfOther())}ending\n`);
    const acquired = LauncherLock.acquire(file);
    other.kill('SIGKILL');
    (await acquired).release();
  });
});
