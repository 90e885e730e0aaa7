import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../src/log.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'launcher-log-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it('of the launcher that has no room in its file does not end it', () => {
  const file = join(folder, 'launcher.log');
  symlinkSync('/dev/full', file);
  const log = createLog(file, 'info');
  expect(() => log.info('a line for the terminal alone')).not.toThrow();
});
