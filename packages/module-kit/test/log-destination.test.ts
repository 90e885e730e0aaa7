import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

function readAll(): string {
  const bytes = Buffer.alloc(2 ** 20);
  return bytes.subarray(0, readSync(pipe, bytes)).toString();
}

it('waits once, not with every line, for who reads nothing, and begins a new line for who reads again', () => {
  const log = new LogDestination(pipe);
  const line = `${'x'.repeat(9_999)}\n`;
  // With half a second each they would take longer than a test may.
  for (let written = 0; written < 500; written++) log.write(line);
  const lines = readAll().split('\n');
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.at(-1)).toMatch(/^x+$/);
  for (const each of lines.slice(0, -1)) expect(each).toBe(line.trim());
  log.write('whole\n');
  log.write('again\n');
  expect(readAll()).toBe('\nwhole\nagain\n');
});
