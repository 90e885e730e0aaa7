import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { LogDestination } from '../src/log-destination.js';

let folder: string;
let pipe: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-destination-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  pipe = openSync(join(folder, 'pipe'), constants.O_RDWR | constants.O_NONBLOCK);
});
afterEach(() => {
  closeSync(pipe);
  rmSync(folder, { recursive: true });
});

function read(most = 2 ** 20): string {
  const bytes = Buffer.alloc(most);
  return bytes.subarray(0, readSync(pipe, bytes)).toString();
}

it('waits once, not with every line, for who reads nothing, and begins a new line for who reads again', async () => {
  const log = new LogDestination(pipe);
  const line = `${'x'.repeat(9_999)}\n`;
  // With half a second each they would take longer than a test may, which is looked at between them only.
  for (let written = 0; written < 500; written++) {
    log.write(line);
    await setImmediate();
  }
  const lines = read().split('\n');
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.at(-1)).toMatch(/^x+$/);
  for (const each of lines.slice(0, -1)) expect(each).toBe(line.trim());
  log.write('whole\n');
  log.write('again\n');
  expect(read()).toBe('\nwhole\nagain\n');
});

it('waits no longer for who reads slowly: what there is no room for is lost', async () => {
  const log = new LogDestination(pipe);
  const line = `${'x'.repeat(9_999)}\n`;
  let got = '';
  for (let written = 0; written < 500; written++) {
    log.write(line);
    got += read(4_096);
    await setImmediate();
  }
  expect(got.length).toBe(500 * 4_096);
});
