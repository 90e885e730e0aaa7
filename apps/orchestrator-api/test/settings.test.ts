import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings, SettingsError } from '../src/settings.js';

const least = {
  DATABASE_URL: 'postgres://hotswap@127.0.0.1:5432/hotswap',
  HOTSWAP_TRUST_FILE: '/etc/hotswap/trust.json',
};

const folder = mkdtempSync(join(tmpdir(), 'hotswap-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));
function fileWith(content: string): string {
  const path = join(folder, `token-${content.length}`);
  writeFileSync(path, content);
  return path;
}
const token = 'x'.repeat(32);

describe('settings', () => {
  it('have defaults', () => {
    expect(readSettings(least)).toMatchObject({
      port: 5000,
      host: '127.0.0.1',
      apiToken: null,
      joinToken: null,
      logLevel: 'info',
      warnings: [],
    });
  });

  it.each([
    ['DATABASE_URL', {}],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://localhost/x' }],
    ['HOTSWAP_TRUST_FILE', { HOTSWAP_TRUST_FILE: ' ' }],
    ['PORT', { PORT: '70000' }],
    ['PORT', { PORT: 'http' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
    ['HOTSWAP_API_TOKEN', { HOTSWAP_API_TOKEN: 'short' }],
    ['HOTSWAP_JOIN_TOKEN', { HOTSWAP_JOIN_TOKEN: 'with a space in the middle' }],
    ['HOTSWAP_ALLOW_OPEN', { HOTSWAP_ALLOW_OPEN: 'yes' }],
    ['HOTSWAP_API_TOKEN', { HOST: '0.0.0.0' }],
    ['HOTSWAP_API_TOKEN', { HOST: '10.0.0.1', HOTSWAP_ALLOW_OPEN: 'true' }],
    ['HOTSWAP_JOIN_TOKEN', { HOST: '0.0.0.0', HOTSWAP_ALLOW_OPEN: 'loopback-published' }],
    ['HOTSWAP_JOIN_TOKEN', { HOST: '0.0.0.0', HOTSWAP_API_TOKEN: token }],
    ['HOTSWAP_JOIN_TOKEN', { HOTSWAP_API_TOKEN: token }],
    ['HOTSWAP_JOIN_TOKEN_FILE', { HOTSWAP_JOIN_TOKEN_FILE: join(folder, 'nowhere') }],
    ['HOTSWAP_JOIN_TOKEN_FILE', { HOTSWAP_JOIN_TOKEN_FILE: fileWith('\n') }],
    [join(folder, 'token-5'), { HOTSWAP_JOIN_TOKEN_FILE: fileWith('short') }],
    ['HOTSWAP_JOIN_TOKEN_FILE', { HOTSWAP_JOIN_TOKEN_FILE: fileWith(token), HOTSWAP_JOIN_TOKEN: token }],
  ])('say that %s is wrong in %j', (name, changes: Record<string, string>) => {
    const given = Object.keys(changes).length === 0 ? {} : { ...least, ...changes };
    expect(() => readSettings(given)).toThrow(SettingsError);
    expect(() => readSettings(given)).toThrow(name);
  });

  it('tell everything that is wrong at once, and no secret', () => {
    const given = { PORT: '-1', HOTSWAP_API_TOKEN: 'hunter2' };
    expect(() => readSettings(given)).toThrow(/DATABASE_URL[^]*HOTSWAP_TRUST_FILE[^]*PORT[^]*HOTSWAP_API_TOKEN/);
    expect(() => readSettings(given)).not.toThrow(/hunter2/);
  });

  it('take the join token from a file, without the end of its line', () => {
    expect(readSettings({ ...least, HOTSWAP_JOIN_TOKEN_FILE: fileWith(`${token}\n`) }).joinToken).toBe(token);
  });

  it('let an API be open beyond loopback only with a warning', () => {
    const exposed = { ...least, HOST: '0.0.0.0', HOTSWAP_JOIN_TOKEN: token };
    const given = { ...exposed, HOTSWAP_ALLOW_OPEN: 'loopback-published' };
    expect(readSettings(given).warnings).toHaveLength(1);
    expect(readSettings({ ...exposed, HOTSWAP_API_TOKEN: token }).warnings).toEqual([]);
  });
});
